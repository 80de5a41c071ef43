"""The curves of ``chargen bench train --quality`` as a picture."""

from __future__ import annotations

from pathlib import Path

from chargen.experiments.quality import QualityReport
from chargen.inspection.plots import new_figure, save_figure


def plot_quality(report: QualityReport, out: Path) -> None:
    """Bits per character over seconds of training, which are on a logarithmic axis, as a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(7, 4.5)
    axes = figure.subplots()
    for n, curve in enumerate(report.curves):
        axes.plot(
            [point.seconds for point in curve.points],
            [point.bits_per_char for point in curve.points],
            color=f"C{n}",
            marker="o" if len(curve.points) > 1 else "*",
            markersize=4 if len(curve.points) > 1 else 11,
            linestyle="--" if curve is report.short else "-",
            label=f"{curve.name}: {curve.bits_per_char:.3f} at its end",
        )
    goal = report.gpt.points[-1].bits_per_char
    axes.axhline(goal, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("validation, bits per character")
    axes.set_title(f"{report.text}, |V| = {report.vocab_size:,}", fontsize="medium")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3, which="both")
    save_figure(figure, out)
