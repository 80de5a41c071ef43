"""Charts made of lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

Point = tuple[float, float]


def line_chart(
    curves: Sequence[tuple[str, Sequence[Point]]],
    *,
    ends: tuple[str, str],
    width: int,
    height: int = 14,
) -> list[str]:
    """Draw curves in one frame, each with its own character.

    Args:
        curves: for each curve its mark and points (x, y), sorted by x; later curves cover
            earlier ones.
        ends: labels at the ends of the horizontal axis.
        width: total columns.
        height: rows of the frame.
    """
    points = [point for _, curve in curves for point in curve]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    top, bottom = f"{high:.3f}", f"{low:.3f}"
    margin = max(len(top), len(bottom))
    columns = max(8, width - margin - 2)
    frame = [[" "] * columns for _ in range(height)]
    step = ((right - left) or 1) / (columns - 1)
    for mark, curve in curves:
        for column, y in _heights(curve, left, step, columns):
            row = round((high - y) / ((high - low) or 1) * (height - 1))
            frame[row][column] = mark
    labels = [top, *[""] * (height - 2), bottom]
    lines = [
        f"{label:>{margin}} {'┤' if label else '│'}{''.join(cells).rstrip()}"
        for label, cells in zip(labels, frame, strict=True)
    ]
    gap = " " * max(1, columns - len(ends[0]) - len(ends[1]))
    return [*lines, f"{'':{margin}} └{'─' * columns}", f"{'':{margin}}  {ends[0]}{gap}{ends[1]}"]


def _heights(
    curve: Sequence[Point], left: float, step: float, columns: int
) -> Iterator[tuple[int, float]]:
    """Yield a curve's column and height, interpolated linearly between its points."""
    for x, y in curve[:1]:
        yield round((x - left) / step), y
    for column in range(columns):
        x = left + step * column
        for (x0, y0), (x1, y1) in pairwise(curve):
            if x0 <= x <= x1:
                yield column, y0 + (y1 - y0) * (x - x0) / ((x1 - x0) or 1)
                break
