"""The recurrences: one file a cell, and this table of their names.

The table is plain data, so that naming the cells doesn't import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chargen.errors import ConfigError

if TYPE_CHECKING:
    from chargen.cells.base import Cell
    from chargen.cells.jordan import Output


@dataclass(frozen=True)
class CellEntry:
    """Where a cell lives, and what the options and the model need to know of it.

    Attributes:
        summary: what the letters stand for.
        options: the fields of ModelConfig that this cell has, beyond those that all have.
        wants_output: it is fed the model's own softmax, so it can only be the last layer.
    """

    module: str
    class_name: str
    summary: str
    options: tuple[str, ...] = ()
    wants_output: bool = False


CELLS: Mapping[str, CellEntry] = MappingProxyType(
    {
        "rnn": CellEntry(
            "chargen.cells.rnn", "RNN", "simple recurrence", ("activation", "recurrent_init")
        ),
        "jordan": CellEntry(
            "chargen.cells.jordan",
            "Jordan",
            "recurrence through the output",
            ("activation", "teacher_forcing"),
            wants_output=True,
        ),
        "lstm": CellEntry("chargen.cells.lstm", "LSTM", "long short-term memory"),
        "gru": CellEntry("chargen.cells.gru", "GRU", "gated recurrent unit"),
        "peephole": CellEntry(
            "chargen.cells.peephole", "Peephole", "an LSTM whose gates see its cell state"
        ),
        "clockwork": CellEntry(
            "chargen.cells.clockwork",
            "Clockwork",
            "modules that update every 1, 2, 4, … steps",
            ("activation", "modules"),
        ),
        "ctrnn": CellEntry("chargen.cells.ctrnn", "CTRNN", "continuous time", ("activation", "dt")),
        "mingru": CellEntry(
            "chargen.cells.minimal", "MinGRU", "a GRU whose gates see the input alone"
        ),
        "minlstm": CellEntry(
            "chargen.cells.minimal", "MinLSTM", "an LSTM whose gates see the input alone"
        ),
    }
)


def build_cell(
    name: str,
    input_size: int,
    hidden_size: int,
    *,
    bias: bool = True,
    output: Output | None = None,
    **options: Any,
) -> Cell:
    """A cell by its name; the parameters are still to be set by ``reset_parameters``.

    Args:
        name: in ``CELLS``.
        input_size: I; 0 for a one-hot input.
        hidden_size: H.
        bias: whether it has biases.
        output: the model's output layer, for a cell that wants the output back.
        options: some of those that the cell's entry lists.

    Raises:
        ConfigError: no such cell; the remedy lists the known ones.
    """
    if name not in CELLS:
        raise ConfigError(f"There is no cell {name!r}.", f"Known: {', '.join(CELLS)}.")
    entry = CELLS[name]
    cell_class: type[Cell] = getattr(import_module(entry.module), entry.class_name)
    if entry.wants_output:
        options["output"] = output
    return cell_class(input_size, hidden_size, bias=bias, **options)
