"""Curves on a terminal, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]


def line_chart(
    curves: Sequence[tuple[str, Sequence[Point]]],
    *,
    ends: tuple[str, str],
    width: int,
    height: int = 14,
) -> list[str]:
    """Curves in one frame, each drawn with a character of its own.

    Args:
        curves: a mark and the points, (x, y) by rising x; where two meet, the later one is seen.
        ends: what is written below the ends of the horizontal axis.
        width: columns in all.
        height: rows of the frame.
    """
    points = [point for _, curve in curves for point in curve]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    top, bottom = f"{high:.3f}", f"{low:.3f}"
    margin = max(len(top), len(bottom))
    columns = max(8, width - margin - 2)
    frame = [[" "] * columns for _ in range(height)]
    for mark, curve in curves:
        for column in range(columns):
            y = _value_at(curve, left + (right - left) * column / (columns - 1))
            if y is not None:
                row = round((high - y) / ((high - low) or 1) * (height - 1))
                frame[row][column] = mark
    labels = [top, *[""] * (height - 2), bottom]
    lines = [
        f"{label:>{margin}} {'┤' if label else '│'}{''.join(cells).rstrip()}"
        for label, cells in zip(labels, frame, strict=True)
    ]
    gap = " " * max(1, columns - len(ends[0]) - len(ends[1]))
    return [*lines, f"{'':{margin}} └{'─' * columns}", f"{'':{margin}}  {ends[0]}{gap}{ends[1]}"]


def _value_at(curve: Sequence[Point], x: float) -> float | None:
    """Height of a curve at ``x``, on a straight line between its points; None beyond its ends."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 <= x <= x1:
            return y0 + (y1 - y0) * ((x - x0) / (x1 - x0) if x1 > x0 else 0.0)
    return curve[0][1] if len(curve) == 1 and x >= curve[0][0] else None
