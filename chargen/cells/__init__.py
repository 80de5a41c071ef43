"""The recurrences: one file a cell, and this table of their names.

The table is plain data, so that naming the cells doesn't import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from chargen.errors import ConfigError

if TYPE_CHECKING:
    from chargen.cells.base import Cell


@dataclass(frozen=True)
class CellEntry:
    """Where a cell lives, and what the options need to know of it."""

    module: str
    class_name: str
    summary: str
    uses_activation: bool = False


CELLS: Mapping[str, CellEntry] = MappingProxyType(
    {
        "rnn": CellEntry("chargen.cells.rnn", "RNN", "simple recurrence", uses_activation=True),
        "lstm": CellEntry("chargen.cells.lstm", "LSTM", "long short-term memory"),
        "gru": CellEntry("chargen.cells.gru", "GRU", "gated recurrent unit"),
    }
)


def cell_names() -> tuple[str, ...]:
    return tuple(CELLS)


def cell_uses_activation(name: str) -> bool:
    return CELLS[name].uses_activation


def build_cell(
    name: str, input_size: int, hidden_size: int, *, bias: bool, activation: str
) -> Cell:
    """A cell by its name; the parameters are still to be set by ``reset_parameters``.

    Raises:
        ConfigError: no such cell; the remedy lists the known ones.
    """
    if name not in CELLS:
        raise ConfigError(f"There is no cell {name!r}.", f"Known: {', '.join(CELLS)}.")
    entry = CELLS[name]
    cell_class: type[Cell] = getattr(import_module(entry.module), entry.class_name)
    return cell_class(input_size, hidden_size, bias=bias, activation=activation)
