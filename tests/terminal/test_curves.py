"""Curves in Braille dots."""

from __future__ import annotations

import math

from chargen.terminal.curves import draw_curves, scale_of


def drawn(*arguments: object, **sizes: int) -> list[str]:
    rows = draw_curves(*arguments, **sizes)  # type: ignore[arg-type]
    return ["".join(text for text, _ in row) for row in rows]


def dots(line: str) -> int:
    return sum(bin(ord(character) - 0x2800).count("1") for character in line if character > "⠀")


def test_a_flat_curve_is_one_row_of_dots() -> None:
    lines = drawn([(0.0, 2.0), (100.0, 2.0)], [], None, width=27, height=6)
    rows = [line.split("┤" if "┤" in line else "│")[1] for line in lines[:4]]
    assert sorted(map(dots, rows)) == [0, 0, 0, 2 * 20]
    assert lines[-1].split() == ["step", "0", "100"]


def test_a_falling_line_is_the_diagonal() -> None:
    lines = drawn([(0.0, 1.0), (1.0, 0.0)], [], None, width=14, height=10)
    found = [
        (row, column)
        for row, line in enumerate(lines[:8])
        for column, character in enumerate(line[6:])
        if "⠀" < character <= "⣿"
    ]
    assert {row for row, _ in found} == set(range(8))
    assert found == sorted(found, key=lambda place: (place[1], place[0]))
    assert found[-1] == (7, 7)


def test_the_first_values_do_not_squash_the_scale() -> None:
    training = [(float(step), 3 + 8 * math.exp(-step / 20)) for step in range(1, 1000)]
    low, high = scale_of(training)
    assert 2.9 < low < 3
    assert high < 3.1
    assert scale_of([(1.0, 9.0), (2.0, 8.0)])[1] < 9.1


def test_validation_far_above_its_best_does_not_squash_the_scale() -> None:
    training = [(float(step), 4.0 - step / 300) for step in range(900)]
    validation = [(float(step), 4.0 + abs(step - 100) / 20) for step in range(0, 900, 50)]
    low, high = scale_of(training, validation)
    assert 0.9 < low < 1.1
    assert 4.9 < high < 5.2


def test_evaluations_and_the_best_are_marked_at_their_places() -> None:
    validation = [(0.0, 4.0), (50.0, 1.0), (100.0, 2.5)]
    lines = drawn([], validation, validation[1], width=27, height=9)
    frame = [line[6:] for line in lines[:7]]
    assert "".join(frame).count("●") == 1  # the first one lies above the scale
    assert [row for row, line in enumerate(frame) if "★" in line] == [6]
    assert frame[6].index("★") == len(lines[-2][6:]) // 2


def test_a_frame_has_its_size_whatever_is_drawn() -> None:
    for width in (12, 40, 200):
        for height in (3, 6, 24):
            for curve in ([(1.0, 5.0)], [(1.0, 0.0), (2.0, 1e9)], [(1.0, math.nan), (2.0, 1.0)]):
                lines = drawn(curve, [], None, width=width, height=height)
                assert len(lines) == height
