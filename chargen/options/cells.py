"""The table of cells: their names, where they are defined, and their own options.

It is plain data, so that naming the cells doesn't import torch. An option declared here becomes a
field of ``ModelConfig``, and thereby a flag, an argument in Python, and a line in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from chargen.options.field import option

NETWORK = "Network (defaults depend on the preset)"


@dataclass(frozen=True)
class CellRow:
    """Where a cell is defined, and what options and network need to know of it.

    Attributes:
        module, class_name: where its class is.
        options: the fields of ModelConfig that belong to this cell.
        wants_output: whether it is fed the model's own softmax, so that it can only be the last
            layer.
        side_by_side: whether several of it are one of it, with zeros between their units.
    """

    module: str
    class_name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    wants_output: bool = False
    side_by_side: bool = True


def _euler_step(dt: float) -> str | None:
    whole = dt > 0 and abs(1 / dt - round(1 / dt)) < 1e-6 and dt <= 1
    return None if whole else "1, 1/2, 1/3, …"


_ACTIVATION = option(
    "tanh",
    "The non-linearity f",
    choices=dict.fromkeys(("tanh", "sigmoid", "relu"), ""),
    panel=NETWORK,
)
_RECURRENT_INIT = option(
    "orthogonal",
    "Initial W",
    choices={"orthogonal": "keeps a state's norm", "identity": "keeps the state, for relu"},
    panel=NETWORK,
)
_TEACHER_FORCING = option(
    False, "Feedback of the true characters instead of the output", negatable=True, panel=NETWORK
)
_MODULES = option(
    4, "Groups of units, with periods of 1, 2, 4, … steps", low=1, high=63, panel=NETWORK
)
_DT = option(
    1.0, "Length of an Euler step, in characters: 1, 1/2, 1/3, …", rule=_euler_step, panel=NETWORK
)

CELLS: Mapping[str, CellRow] = MappingProxyType(
    {
        "rnn": CellRow(
            "chargen.cells.fast.rnn",
            "FastRNN",
            {"activation": _ACTIVATION, "recurrent_init": _RECURRENT_INIT},
        ),
        "jordan": CellRow(
            "chargen.cells.fast.jordan",
            "FastJordan",
            {"activation": _ACTIVATION, "teacher_forcing": _TEACHER_FORCING},
            wants_output=True,
            side_by_side=False,
        ),
        "lstm": CellRow("chargen.cells.fast.lstm", "FastLSTM"),
        "gru": CellRow("chargen.cells.fast.gru", "FastGRU"),
        "peephole": CellRow("chargen.cells.fast.peephole", "FastPeephole"),
        "clockwork": CellRow(
            "chargen.cells.fast.clockwork",
            "FastClockwork",
            {"activation": _ACTIVATION, "modules": _MODULES},
            side_by_side=False,
        ),
        "ctrnn": CellRow(
            "chargen.cells.fast.ctrnn",
            "FastCTRNN",
            {"activation": _ACTIVATION, "dt": _DT},
        ),
        "mingru": CellRow("chargen.cells.fast.minimal", "FastMinGRU"),
        "minlstm": CellRow("chargen.cells.fast.minimal", "FastMinLSTM"),
        "feedforward": CellRow(
            "chargen.cells.feedforward", "Feedforward", {"activation": _ACTIVATION}
        ),
    }
)


def cells_with(name: str) -> tuple[str, ...]:
    """Return the cells that an option belongs to."""
    return tuple(cell for cell, row in CELLS.items() if name in row.options)


def cell_options() -> dict[str, Any]:
    """Return the options of all cells, as dataclass fields by name."""
    return {name: each for row in CELLS.values() for name, each in row.options.items()}
