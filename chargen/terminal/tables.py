"""Tables that fit into a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

Lines = list[tuple[str, ...]]
"""A table: its header, then its rows."""

_GAP = 2  # columns around a cell


def fitted(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Lines]:
    """Arrange a table so that no cell is cut: as it is, turned, or turned and divided.

    Args:
        header: names of the columns; the first column names the rows.
        rows: as many cells each.
        width: columns of the terminal.
    """
    table = [tuple(header), *map(tuple, rows)]
    if _width(table) <= width:
        return [table]
    turned: Lines = list(zip(*table, strict=True))
    parts, names = [], [line[0] for line in turned]
    first = 1
    while first < len(table):
        last = first + 1
        while last < len(table) and _width(_part(turned, names, first, last + 1)) <= width:
            last += 1
        parts.append(_part(turned, names, first, last))
        first = last
    return parts


def _part(turned: Lines, names: list[str], first: int, last: int) -> Lines:
    return [(name, *line[first:last]) for name, line in zip(names, turned, strict=True)]


def _width(table: Lines) -> int:
    return sum(max(map(cell_len, column)) + _GAP for column in zip(*table, strict=True))
