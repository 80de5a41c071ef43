"""Plots of curves; matplotlib comes with the extra ``plot``."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from chargen.errors import ChargenWarning, CheckpointError, ConfigError, MissingExtraError
from chargen.evaluation.scores import NATS_TO_BITS
from chargen.files import write_bytes
from chargen.runs.finding import distinct_names
from chargen.runs.folder import RunFolder
from chargen.runs.metrics import read_metrics

AXES = {"steps": ("step", 1.0), "minutes": ("seconds", 1 / 60)}
"""Horizontal axes: the field of an event, and the factor from its unit."""
FORMATS = ("png", "svg", "pdf")
"""Formats of pictures, each the ending of its files."""
_MOST_NAMED = 4
"""Runs that the caption of a picture names."""
_MOST_MISSING = 10
_CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",  # the only face of the collection that matplotlib lists
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Microsoft YaHei",
    "SimHei",
    "SimSun",
    "Arial Unicode MS",
    "Noto Serif CJK SC",
    "Noto Serif CJK JP",
    "AR PL UMing CN",
    "Unifont",
)
_MISSING = "Glyph (\\d+) .*missing from font"


def new_figure(width: float, height: float) -> Any:
    """Make an empty figure, without a window, with a font for Chinese if one is installed.

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


def check_picture(out: Path) -> None:
    """Check, before long work, that a plot can be written to ``out``.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: the folder of ``out`` doesn't exist, ``out`` is a folder, or it has the ending
            of another format.
    """
    picture_format(out)
    new_figure(1, 1)
    if out.is_dir():
        raise ConfigError(f"{out} can't be written: it is a folder.", "Choose another `out`.")
    if not out.parent.is_dir():
        raise ConfigError(
            f"{out} can't be written: {out.parent} is not a folder.", "Choose another `out`."
        )


def plain_log_axis(axes: Any) -> None:
    """Make the vertical axis logarithmic, with plain numbers where matplotlib would label it."""
    from matplotlib.ticker import LogFormatterSciNotation

    class Plain(LogFormatterSciNotation):
        def __call__(self, value: float, position: int | None = None) -> str:
            return f"{value:g}" if super().__call__(value, position) else ""

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(Plain())
    axes.yaxis.set_minor_formatter(Plain(labelOnlyBase=False))


def picture_format(out: Path) -> str:
    """Return the format that the ending of ``out`` stands for.

    Raises:
        ConfigError: it is none of ``FORMATS``.
    """
    ending = out.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        what = f"ends in .{ending}" if ending else "has no ending"
        *others, last = (f".{name}" for name in FORMATS)
        raise ConfigError(
            f"The picture {out} {what}, which is no format that can be written.",
            f"End its name in {', '.join(others)} or {last}.",
        )
    return ending


def save_figure(figure: Any, out: Path) -> None:
    """Write a figure in the format of its ending.

    Characters that no installed font has are written as their code points, and a ChargenWarning
    says so. Equal figures are equal files: neither the date nor random ids are written.
    """
    picture, missing = _drawn(figure, picture_format(out))
    if missing:
        _spell_out(figure, missing)
        picture, _ = _drawn(figure, picture_format(out))
        shown = "".join(sorted(missing)[:_MOST_MISSING])
        warnings.warn(
            f"No installed font has {shown}{'…' if len(missing) > _MOST_MISSING else ''}: {out} "
            "shows code points in their place. Install a font such as Noto Sans CJK, and delete "
            "matplotlib's list of fonts (fontlist-*.json in its cache folder).",
            ChargenWarning,
            stacklevel=2,
        )
    write_bytes(out, picture)


def _drawn(figure: Any, kind: str) -> tuple[bytes, set[str]]:
    """Return the picture of a figure, and the characters that no font has."""
    from matplotlib import rc_context

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font of one weight
    picture = io.BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with warnings.catch_warnings(record=True) as said, rc_context({"svg.hashsalt": "chargen"}):
        warnings.simplefilter("always")
        figure.savefig(picture, format=kind, dpi=150, metadata=undated)
    missing: set[str] = set()
    for each in said:
        if found := re.match(_MISSING, str(each.message)):
            missing.add(chr(int(found[1])))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return picture.getvalue(), missing


def _spell_out(figure: Any, missing: set[str]) -> None:
    """Replace characters in all texts of a figure by their code points."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        words = text.get_text()
        if missing.intersection(words):
            text.set_text("".join(f"[{ord(c):04X}]" if c in missing else c for c in words))


def plot_curves(
    runs: Sequence[Path], out: Path, over: Sequence[str] = tuple(AXES), title: str = ""
) -> None:
    """Draw training and validation loss of ``runs``.

    Both are in bits and share an axis: the validation loss per character, the training loss per
    piece, as a mean over the windows since the previous record. A piece is a character, except
    where characters are encoded as bytes. Runs that share a name are labelled with their paths.

    Args:
        runs: run folders.
        out: the picture.
        over: names in ``AXES``, one panel each.
        title: text above the panels.

    Raises:
        CheckpointError: a run is damaged, or has recorded no step yet.
        ConfigError: ``out`` can't be written.
        MissingExtraError: matplotlib is not installed.
    """
    check_picture(out)
    histories = []
    for path, name in zip(runs, distinct_names(runs), strict=True):
        RunFolder(path).read_config()
        lines = read_metrics(path)
        if not any(line["event"] == "step" for line in lines):
            raise CheckpointError(
                f"{path} has no record of its training, or of no step yet.",
                "Name another run, or continue training with `resume=True`.",
            )
        histories.append((name, lines))
    figure = new_figure(5 * len(over) if len(over) > 1 else 7, 4.6)
    figure.suptitle(title or "Loss during training", fontsize="medium", wrap=True)
    pictures = figure.subplots(1, len(over), sharey=True, squeeze=False)[0]
    for axes, what in zip(pictures, over, strict=True):
        for n, (name, lines) in enumerate(histories):
            _draw_run(axes, lines, what, name, f"C{n % 10}")
        axes.set_xlabel("training steps" if what == "steps" else "minutes of training")
        axes.grid(alpha=0.3)
    pictures[0].set_ylabel("bits")
    pictures[0].legend(fontsize="small")
    figure.supxlabel(_what_to_see(histories), fontsize="small", wrap=True)
    save_figure(figure, out)


def _what_to_see(histories: Sequence[tuple[str, list[dict[str, Any]]]]) -> str:
    """Say where each run is best, and what a gap between its curves means."""
    best = []
    for name, lines in histories[:_MOST_NAMED]:
        found = [(each["bits_per_char"], each["step"]) for each in _evaluations(lines)]
        if found:
            bits, step = min(found)
            best.append(f"{name} {bits:.3f} at step {step:,}")
    if not best:
        return ""
    return (
        f"Best validation (star): {'; '.join(best)}.\n"
        "Where validation rises while training falls, the text is being learnt by heart."
    )


def _evaluations(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        line
        for line in lines
        if line["event"] == "evaluation" and line["bits_per_char"] is not None
    ]


def _draw_run(axes: Any, lines: list[dict[str, Any]], over: str, name: str, colour: str) -> None:
    key, unit = AXES[over]
    steps = [line for line in lines if line["event"] == "step"]
    axes.plot(
        [line[key] * unit for line in steps],
        [line["loss"] * NATS_TO_BITS for line in steps],
        color=colour,
        alpha=0.45,
        linewidth=1,
        label=f"{name}: training, per piece",
    )
    if evaluations := _evaluations(lines):
        axes.plot(
            [line[key] * unit for line in evaluations],
            [line["bits_per_char"] for line in evaluations],
            color=colour,
            marker="o",
            markersize=3,
            label=f"{name}: validation, per character",
        )
        best = min(evaluations, key=lambda line: line["bits_per_char"])
        axes.plot(best[key] * unit, best["bits_per_char"], "*", color=colour, markersize=11)


class RangeCurve(Protocol):
    """The result of a learning-rate range test: rates, losses, and rates to mark."""

    @property
    def lr(self) -> Sequence[float]: ...
    @property
    def loss(self) -> Sequence[float]: ...
    @property
    def smoothed(self) -> Sequence[float]: ...
    @property
    def suggested_lr(self) -> float: ...
    @property
    def configured_lr(self) -> float: ...


def plot_range_test(test: RangeCurve, out: Path) -> None:
    """Draw the losses of a learning-rate range test over the rate.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    axes.plot(test.lr, test.loss, color="C0", alpha=0.35, linewidth=1, label="loss")
    axes.plot(test.lr, test.smoothed, color="C0", label="smoothed")
    for rate, name, style in (
        (test.suggested_lr, "suggested", "-"),
        (test.configured_lr, "as configured", ":"),
    ):
        axes.axvline(rate, color="C1", linestyle=style, label=f"{name}: {rate:.2g}")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title("Loss while the learning rate rises")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("nats per piece")
    axes.set_ylim(min(test.smoothed) - 0.1, max(test.loss[0] * 1.1, min(test.smoothed) + 0.5))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    save_figure(figure, out)
