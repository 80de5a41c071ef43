"""Learning curves: validation over training time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chargen.inspection.plots import new_figure, save_figure


@dataclass(frozen=True)
class Point:
    """Bits per character at the start of the validation split, at one time of training."""

    seconds: float
    steps: int
    bits_per_char: float


@dataclass(frozen=True)
class LearningCurve:
    """The learning curve of a network.

    Attributes:
        name: name of the network.
        parameters: number of parameters.
        points: points during training, the last at its end.
        bits_per_char: at the end, on the validation split or its first 262,144 pieces.
    """

    name: str
    parameters: int
    points: tuple[Point, ...]
    bits_per_char: float

    @property
    def seconds(self) -> float:
        """Seconds of training in all."""
        return self.points[-1].seconds

    def seconds_to(self, bits_per_char: float) -> float | None:
        """Interpolate when the curve reaches ``bits_per_char``; None if it doesn't."""
        before: Point | None = None
        for point in self.points:
            if point.bits_per_char <= bits_per_char:
                if before is None:
                    return point.seconds
                fallen = before.bits_per_char - point.bits_per_char
                share = (before.bits_per_char - bits_per_char) / fallen
                return before.seconds + share * (point.seconds - before.seconds)
            before = point
        return None


def draw_curves(
    curves: Sequence[LearningCurve],
    dashed: LearningCurve,
    goal: float,
    title: str,
    caption: str,
    out: Path,
) -> None:
    """Draw bits per character over seconds of training, on a logarithmic axis.

    Args:
        curves: the curves, in the order of the legend.
        dashed: the curve to draw with dashes.
        goal: bits per character to mark.
        title: title of the plot.
        caption: what to see, below the plot.
        out: the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(7, 5.2)
    axes = figure.subplots()
    for n, curve in enumerate(curves):
        axes.plot(
            [point.seconds for point in curve.points],
            [point.bits_per_char for point in curve.points],
            color=f"C{n}",
            marker="o" if len(curve.points) > 1 else "*",
            markersize=4 if len(curve.points) > 1 else 11,
            linestyle="--" if curve is dashed else "-",
            label=f"{curve.name}: {curve.bits_per_char:.3f} at the end",
        )
    axes.axhline(goal, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("validation, bits per character")
    axes.set_title(title, fontsize="medium")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3, which="both")
    figure.supxlabel(caption, fontsize="small", wrap=True)
    save_figure(figure, out)
