"""Tables are turned where they are too wide, and never cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chargen.terminal.tables import fitted
from tests.support import call, train_tiny

HEADER = ("run", "network", "parameters", "steps")
ROWS = [
    ("1 shipan-rnn-1", "rnn 1 × 50", "7.4 k", "1,000"),
    ("2 shipan-lstm-1", "lstm 1 × 256", "1.1 M", "500"),
]


def test_a_table_that_fits_stays() -> None:
    assert fitted(HEADER, ROWS, 80) == [[HEADER, *ROWS]]


def test_one_that_is_too_wide_is_turned() -> None:
    assert fitted(HEADER, ROWS, 47) == [
        [
            ("run", "1 shipan-rnn-1", "2 shipan-lstm-1"),
            ("network", "rnn 1 × 50", "lstm 1 × 256"),
            ("parameters", "7.4 k", "1.1 M"),
            ("steps", "1,000", "500"),
        ]
    ]


def test_many_rows_are_divided() -> None:
    first, second = fitted(HEADER, ROWS, 40)
    assert first[0] == ("run", "1 shipan-rnn-1")
    assert second[0] == ("run", "2 shipan-lstm-1")


@given(
    st.integers(2, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.text("ab文", max_size=9), min_size=n, max_size=n), min_size=2, max_size=9
        )
    ),
    st.integers(25, 100),
)
def test_every_cell_is_shown_once_and_fits(table: list[list[str]], width: int) -> None:
    header, *rows = table
    parts = fitted(header, rows, width)
    if parts != [[tuple(header), *map(tuple, rows)]]:
        columns = [column for part in parts for column in list(zip(*part, strict=True))[1:]]
        assert columns == [tuple(row) for row in rows]
        assert all(next(zip(*part, strict=True)) == tuple(header) for part in parts)
    for part in parts:
        wide = sum(max(map(cell_len, column)) + 2 for column in zip(*part, strict=True))
        assert wide <= width or len(part[0]) == 2


@pytest.mark.parametrize("width", [40, 80, 120])
def test_compare_cuts_no_name(width: int, corpus: Path, tmp_path: Path) -> None:
    names = ["shipan-rnn-1", "shipan-clockwork-gru-12"]
    for name, cell in zip(names, ("rnn", "gru"), strict=True):
        train_tiny(corpus, tmp_path, name=name, cell=cell)
    shown = call("compare", *names, "--runs", tmp_path, env={"COLUMNS": str(width)})
    assert shown.exit_code == 0, shown.output
    for part in ("1 shipan-rnn-1", "2 shipan-clockwork-gru-12", "parameters", "chars/s"):
        assert part in shown.stdout
    table = shown.stdout.split("Best and last")[0]
    assert "…" not in table
    assert max(map(cell_len, table.splitlines())) <= width
