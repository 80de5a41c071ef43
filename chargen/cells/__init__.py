"""The recurrences: one file a cell; ``chargen.options.cells`` has the table of their names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chargen.errors import ConfigError
from chargen.options import CELLS

if TYPE_CHECKING:
    from chargen.cells.base import Cell
    from chargen.cells.jordan import Output


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
        options: some of those that the cell's row lists.

    Raises:
        ConfigError: no such cell; the remedy lists the known ones.
    """
    if name not in CELLS:
        raise ConfigError(f"There is no cell {name!r}.", f"Known: {', '.join(CELLS)}.")
    row = CELLS[name]
    cell_class: type[Cell] = getattr(import_module(row.module), row.class_name)
    if row.wants_output:
        options["output"] = output
    return cell_class(input_size, hidden_size, bias=bias, **options)
