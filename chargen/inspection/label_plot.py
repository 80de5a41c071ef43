"""The picture of which labels are taken for which."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chargen.evaluation.label_report import LabelReport
from chargen.inspection.plots import new_figure, save_figure

_MOST_NUMBERED = 12


def plot_confusion(report: LabelReport, out: Path) -> None:
    """Draw the share of a label's texts (row) that are told to have each label (column).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    names = [each.label for each in report.figures]
    places = [report.names.index(name) for name in names]
    counts = report.confusion[np.ix_(places, places)]
    shares = counts / np.maximum(report.confusion[places].sum(1, keepdims=True), 1)
    side = min(16.0, max(4.5, 0.28 * len(names) + 2.5))
    figure = new_figure(side + 1, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(f"{report.key}, told")
    axes.set_ylabel(f"{report.key}, true")
    if len(names) <= _MOST_NUMBERED:
        for row, line in enumerate(counts.tolist()):
            for column, count in enumerate(line):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    figure.colorbar(image, label="share of the texts with the true label")
    figure.suptitle(
        f"Accuracy {report.accuracy:.1%}, macro-F1 {report.macro_f1:.3f}, {report.texts:,} texts",
        fontsize="medium",
    )
    save_figure(figure, out)
