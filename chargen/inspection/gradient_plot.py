"""The picture of gradients through time and through training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chargen.inspection.gradients import GradientReport
from chargen.inspection.plots import new_figure, plain_log_axis, save_figure

_MOST_NAMED = 4
"""Runs that the caption has figures of."""


def plot_gradients(reports: Sequence[GradientReport], out: Path) -> None:
    """Draw norms over lags, and gradient norms over training steps.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(10, 5)
    lag, training = figure.subplots(1, 2)
    for n, report in enumerate(reports):
        _draw_lags(lag, report, f"C{n % 10}")
        _draw_training(training, report, f"C{n % 10}")
    last = len(reports[0].norms) - 1
    for window in sorted({report.window for report in reports if report.window <= last}):
        lag.axvline(window, color="0.4", linestyle=":", label=f"window of training: {window}")
    lag.set(
        title="How far back a prediction depends on the state",
        xlabel="lag k, in characters",
        ylabel="‖∂L_t / ∂s_(t−k)‖, in nats per unit of state",
    )
    training.set(
        title="Size of the gradient during training",
        xlabel="training step",
        ylabel="gradient norm before clipping",
    )
    for axes in (lag, training):
        plain_log_axis(axes)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.supxlabel(caption(reports), fontsize="small")
    save_figure(figure, out)


def caption(reports: Sequence[GradientReport]) -> str:
    """Say what to see in the picture, with the figures of the runs."""
    last = len(reports[0].norms) - 1
    steps = "; ".join(f"{each.run} × {each.factor:.2f}" for each in reports[:_MOST_NAMED])
    return (
        "Line: median over positions; band: the middle 80 %; dashed: mean, which few positions can "
        "lift.\nA straight fall is an exponential one, the vanishing gradient. Mean over "
        f"{last} lags, for each step back: {steps}."
    )


def _draw_lags(axes: Any, report: GradientReport, colour: str) -> None:
    low, middle, high = report.quantiles
    axes.plot(middle, color=colour, label=report.run)
    axes.fill_between(range(len(middle)), low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(report.norms, color=colour, linestyle="--", linewidth=0.8)


def _draw_training(axes: Any, report: GradientReport, colour: str) -> None:
    clipping = report.clipping
    axes.plot(clipping.steps, clipping.grad_norm, color=colour, linewidth=1, label=report.run)
    if clipping.limit:
        limit = f"clipped at {clipping.limit:g}"
        known = axes.get_legend_handles_labels()[1]
        axes.axhline(
            clipping.limit,
            color="0.4",
            linestyle=":",
            label=None if limit in known else limit,
        )
