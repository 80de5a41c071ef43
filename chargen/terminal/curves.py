"""Training loss and validation as curves in one frame, in dots of Braille characters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

Point = tuple[float, float]
Row = list[tuple[str, str]]
"""Pieces of a line: characters, and what they are: ``axis``, ``training``, ``validation``,
``best`` or nothing."""

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a Braille character (from U+2800) for the dots of its two columns, top to bottom."""
_FAR = 1.25  # times the best validation
_COLUMNS_PER_MARK = 3
_SETTLED = 0.1
"""Share of the steps after which values count for the scale: the first ones would squash it."""


def scale_of(training: Sequence[Point], validation: Sequence[Point] = ()) -> tuple[float, float]:
    """The lowest and the highest value of a frame.

    The high values with which a run begins are left out, and so is validation far above its best:
    the curves enter and leave through the top.
    """
    points = [*training, *validation]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    settled = left + _SETTLED * (right - left)
    tops = []
    for curve in (training, validation):
        values = [y for x, y in curve if x >= settled] + list(_at(settled, curve))
        tops += [max(values)] if values else []
    if training and validation and len(tops) > 1:
        tops[1] = min(tops[1], max(tops[0], _FAR * min(y for _, y in validation)))
    low, high = min(y for _, y in points), max(tops)
    room = (high - low) * 0.02 or max(abs(high) * 0.05, 1e-3)
    return (max(0.0, low - room) if low >= 0 else low - room), high + room


def _at(x: float, curve: Sequence[Point]) -> Iterator[float]:
    """The value of a curve at ``x``, if that lies between two of its points."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 < x < x1:
            yield y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def draw_curves(
    training: Sequence[Point],
    validation: Sequence[Point],
    best: Point | None,
    *,
    width: int,
    height: int,
) -> list[Row]:
    """Draw both curves over steps; evaluations are marked ● where there is room, the best one ★.

    Args:
        training: points (step, value), sorted by step.
        validation: likewise.
        best: the point of ``validation`` to be marked, or None.
        width: total columns.
        height: total lines, two of them for the axis of steps.
    """
    training, validation = (
        [point for point in curve if math.isfinite(point[1])] for curve in (training, validation)
    )
    points = [*training, *validation]
    low, high = scale_of(training, validation)
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    labels = _labels(low, high, height - 2)
    margin = max(map(len, labels))
    canvas = _Canvas(left, right, low, high, max(4, width - margin - 2), height - 2)
    canvas.line(training, "training")
    canvas.line(validation, "validation")
    if len(validation) * _COLUMNS_PER_MARK <= canvas.columns:
        for point in validation:
            canvas.mark(point, "●", "validation")
    if best:
        canvas.mark(best, "★", "best")
    rows = [
        [(f"{label:>{margin}} {'┤' if label else '│'}", "axis"), *row]
        for label, row in zip(labels, canvas.rows(), strict=True)
    ]
    ends = f"step {left:,.0f}", f"{right:,.0f}"
    gap = " " * max(1, canvas.columns - len(ends[0]) - len(ends[1]))
    rows.append([(f"{'':{margin}} └{'─' * canvas.columns}", "axis")])
    rows.append([(f"{'':{margin}}  {ends[0]}{gap}{ends[1]}", "axis")])
    return rows


def _labels(low: float, high: float, height: int) -> list[str]:
    """A label at the top, at the bottom, and in the middle where there is room."""
    digits = max(0, min(4, 2 - math.floor(math.log10(max(high - low, 1e-9)))))
    places = {0: high, height - 1: low}
    if height >= 7:
        places[height // 2] = high - (high - low) * (height // 2) / (height - 1)
    return [f"{places[row]:.{digits}f}" if row in places else "" for row in range(height)]


class _Canvas:
    """Dots and marks in a frame of ``columns`` × ``height`` characters."""

    def __init__(
        self, left: float, right: float, low: float, high: float, columns: int, height: int
    ) -> None:
        self.columns, self.height = columns, height
        self._left, self._low, self._high = left, low, high
        self._step = ((right - left) or 1.0) / (2 * columns - 1)
        self._dots: dict[tuple[int, int], int] = {}
        self._kinds: dict[tuple[int, int], str] = {}
        self._marks: dict[tuple[int, int], str] = {}

    def line(self, curve: Sequence[Point], kind: str) -> None:
        """Draw a curve; what is above the frame is left out."""
        heights = [(x, self._dot(y)) for x, y in _by_column(curve, self._left, self._step)]
        for x, y in heights[:1]:
            self._set(x, y, kind)
        for (_, before), (x, y) in pairwise(heights):
            low, high = sorted((before, y))
            for each in range(max(low + (low == before and low != y), 0), high + 1):
                self._set(x, each, kind)
            self._set(x, y, kind)

    def mark(self, point: Point, character: str, kind: str) -> None:
        """Put a character at a point that lies in the frame."""
        x, y = round((point[0] - self._left) / self._step), self._dot(point[1])
        if 0 <= y < 4 * self.height:
            self._marks[y // 4, x // 2] = character
            self._kinds[y // 4, x // 2] = kind

    def rows(self) -> Iterator[Row]:
        for row in range(self.height):
            cells: Row = []
            for column in range(self.columns):
                place = row, column
                bits = self._dots.get(place, 0)
                character = self._marks.get(place) or (chr(0x2800 + bits) if bits else " ")
                kind = self._kinds.get(place, "")
                if cells and cells[-1][1] == kind:
                    cells[-1] = cells[-1][0] + character, kind
                else:
                    cells.append((character, kind))
            yield cells

    def _dot(self, value: float) -> int:
        """The row of dots, from the top, of a value."""
        share = (self._high - value) / ((self._high - self._low) or 1.0)
        return math.floor(min(max(share, -1.0), 1.0) * (4 * self.height - 1) + 0.5)

    def _set(self, x: int, y: int, kind: str) -> None:
        if 0 <= y < 4 * self.height:
            place = y // 4, x // 2
            self._dots[place] = self._dots.get(place, 0) | _DOTS[x % 2][y % 4]
            self._kinds[place] = kind


def _by_column(curve: Sequence[Point], left: float, step: float) -> Iterator[tuple[int, float]]:
    """The mean of a curve in each column of dots, interpolated where a column has no point."""
    found: dict[int, list[float]] = {}
    for x, y in curve:
        found.setdefault(round((x - left) / step), []).append(y)
    means = [(column, sum(values) / len(values)) for column, values in sorted(found.items())]
    yield from means[:1]
    for (a, from_), (b, to) in pairwise(means):
        for column in range(a + 1, b + 1):
            yield column, from_ + (to - from_) * (column - a) / (b - a)
