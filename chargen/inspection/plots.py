"""Curves as pictures; matplotlib comes with the extra ``plot``."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chargen.checkpoint import RunFolder
from chargen.errors import CheckpointError, MissingExtraError
from chargen.evaluation import NATS_TO_BITS
from chargen.files import write_bytes
from chargen.training.metrics import read_metrics

_CJK_FONTS = ("Noto Sans CJK SC", "WenQuanYi Zen Hei", "PingFang SC", "SimHei")


def new_figure(width: float, height: float) -> Any:
    """An empty figure, drawn without a window; names in Chinese where a font has them.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib import font_manager
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", "Drawing curves") from error
    installed = {font.name for font in font_manager.fontManager.ttflist}
    mpl.rcParams["font.family"] = ["DejaVu Sans", *[f for f in _CJK_FONTS if f in installed]]
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, out: Path) -> None:
    """Write a figure as a PNG; what no installed font can draw becomes a box, without a word."""
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(picture, format="png", dpi=150)
    write_bytes(out, picture.getvalue())


def plot_curves(runs: Sequence[Path], out: Path) -> None:
    """Training loss and validation of ``runs`` over steps and over time, as a PNG at ``out``.

    Both are in bits, so that they share an axis: validation per character, and the training
    loss, the mean over the windows since the record before, per piece. These are the same but
    for characters that are spelt in bytes. Runs of one name are told apart by their paths.

    Raises:
        CheckpointError: a run has recorded no step.
        MissingExtraError: matplotlib is not installed.
    """
    histories = []
    names = Counter(path.name for path in runs)
    for path in runs:
        RunFolder(path).read_config()
        lines = read_metrics(RunFolder(path).metrics)
        if not any(line["event"] == "step" for line in lines):
            raise CheckpointError(f"{path} has recorded no step yet.", "Train it on: --resume.")
        histories.append((path.name if names[path.name] == 1 else str(path), lines))
    figure = new_figure(10, 4.2)
    by_step, by_time = figure.subplots(1, 2, sharey=True)
    for n, (name, lines) in enumerate(histories):
        steps = [line for line in lines if line["event"] == "step"]
        evaluations = [
            line
            for line in lines
            if line["event"] == "evaluation" and line["bits_per_char"] is not None
        ]
        colour = f"C{n % 10}"
        for axes, key, scale in ((by_step, "step", 1.0), (by_time, "seconds", 1 / 60)):
            axes.plot(
                [line[key] * scale for line in steps],
                [line["loss"] * NATS_TO_BITS for line in steps],
                color=colour,
                alpha=0.45,
                linewidth=1,
                label=f"{name}: training, per piece",
            )
            if evaluations:
                axes.plot(
                    [line[key] * scale for line in evaluations],
                    [line["bits_per_char"] for line in evaluations],
                    color=colour,
                    marker="o",
                    markersize=3,
                    label=f"{name}: validation, per character",
                )
    by_step.set_xlabel("step")
    by_time.set_xlabel("minutes")
    by_step.set_ylabel("bits")
    by_step.legend(fontsize="small")
    for axes in (by_step, by_time):
        axes.grid(alpha=0.3)
    save_figure(figure, out)
