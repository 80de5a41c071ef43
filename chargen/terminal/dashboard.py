"""A training run drawn into a terminal of any size: progress, figures, curves, samples."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from chargen.terminal.curves import draw_curves
from chargen.terminal.watched import Watched
from chargen.terminal.words import duration, human, visible

_STYLES = {
    "axis": "dim",
    "training": "cyan",
    "validation": "yellow",
    "best": "bold green",
}
_LEAST_CHART = 6
_MOST_CHART = 24
_LEAST_SAMPLE = 3
_SHORT = 20
_WIDE = 60

Lines = list[Text]


class Dashboard:
    """A view of ``run`` that fills the width and height that rich renders it into.

    Args:
        run: what is shown.
        notes: lines at the top where there is room for them.
        height: lines to use; None: all that the terminal has.
    """

    def __init__(self, run: Watched, notes: Sequence[str] = (), height: int | None = None) -> None:
        self._run, self._notes, self._height = run, notes, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, self._height or options.height or console.height
        bar = Progress(self._run)
        above = self._header(console, width, height)
        below = self._figures(console, width, height)
        room = height - len(above) - len(below) - 1
        chart, samples = self._shares(console, width, room)
        for line in above:
            yield line
        yield bar
        for line in [*below, *chart, *samples][: height - len(above) - 1]:
            yield line

    def _header(self, console: Console, width: int, height: int) -> Lines:
        """The notes, as many lines of them as there is room for."""
        if height < _SHORT:
            return []
        lines = [line for note in self._notes for line in _wrapped(console, Text(note), width)]
        most = height // 6
        if len(lines) > most:
            lines = lines[:most]
            lines[-1].truncate(max(1, width - 1))
            lines[-1].append("…")
        return lines

    def _figures(self, console: Console, width: int, height: int) -> Lines:
        run = self._run
        if run.step is None:
            return []
        values = [("training", f"{run.bits(run.step.loss):.3f} {_short(run.unit)}")]
        if run.evaluation or run.validation:
            bits = run.evaluation.bits_per_char if run.evaluation else run.validation[-1][1]
            values.append(("validation", f"{bits:.3f}"))
        if run.best:
            values.append(("best", f"{run.best[1]:.3f} (step {run.best[0]:,.0f})"))
        values.append(("speed", f"{human(run.step.chars_per_second)} chars/s"))
        values.append(("epoch", f"{run.step.epoch:.2f}"))
        if run.started and height >= _SHORT:
            window, lanes = run.started.seq_length, run.started.batch_size
            values.append(("BPTT window", f"{window} chars × {lanes} lanes"))
        if height >= _SHORT:
            values.append(("gradient norm", f"{run.step.grad_norm:.2f}"))
            values.append(("learning rate", f"{run.step.lr:.2g}"))
        lines = _in_rows(values, width)
        if run.rising:
            advice = run.rising if height >= _SHORT else "Validation rises: learnt by heart."
            lines += _wrapped(console, Text(advice, style="bold yellow"), width)
        return lines

    def _shares(self, console: Console, width: int, room: int) -> tuple[Lines, Lines]:
        """The chart and the samples, which share the lines that are left."""
        run = self._run
        drawn = len(run.training) > 1
        texts = [_SampleText(console, sample, self._window(), width) for sample in run.samples]
        needed = [len(text.lines) for text in texts]
        wanted = max(room // 2, room - sum(needed))
        if texts:
            wanted = max(_LEAST_CHART, min(wanted, _MOST_CHART, room - min(needed[-1], room // 2)))
        chart = self._chart(width, wanted) if drawn and room >= _LEAST_CHART else []
        room -= len(chart)
        samples: Lines = []
        for text in reversed(texts):
            if samples and len(text.lines) > room:
                break
            shown = text.fitted(room) if room >= _LEAST_SAMPLE else []
            samples = samples + shown
            room -= len(shown)
        return chart, samples

    def _chart(self, width: int, height: int) -> Lines:
        run = self._run
        title = Text(f"{run.unit}: " if width >= _WIDE else "", style="dim")
        title.append("⣀⣠ training", style=_STYLES["training"])
        if run.validation:
            title.append("  ● validation", style=_STYLES["validation"])
            title.append("  ★ best", style=_STYLES["best"])
        about = f"  (training: {run.training_note})"
        if run.training_note and title.cell_len + len(about) <= width:
            title.append(about, style="dim")
        title.truncate(width)
        rows = draw_curves(
            run.training, run.validation, run.best, width=width, height=max(3, height - 1)
        )
        return [
            title,
            *(Text.assemble(*((text, _STYLES.get(kind, "")) for text, kind in r)) for r in rows),
        ]

    def _window(self) -> int:
        return self._run.started.seq_length if self._run.started else 0


class Progress:
    """One line: the bar, the steps, the time that is left."""

    def __init__(self, run: Watched) -> None:
        self._run = run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        run, width = self._run, options.max_width
        step = run.steps
        if run.planned is None:
            yield Text(f"step {step:,}, measuring speed …", no_wrap=True, overflow="crop")
            return
        total = run.planned.total_steps
        words = f" step {step:,} of {total:,}"
        left, in_all = run.seconds_left, run.seconds_in_all
        if left is not None and in_all is not None and step < total:
            words += f", {duration(left)} left"
            if cell_len(words) + len(duration(in_all)) + 14 < width:
                words += f" of {duration(in_all)}"
        bar = width - cell_len(words)
        if bar >= 4:
            segments = ProgressBar(total=total, completed=step, width=bar)
            yield from (s for s in console.render(segments, options) if s.text != "\n")
        else:
            words = words[1 : width + 1]
        yield Segment(words)
        yield Segment.line()


class _SampleText:
    """A sample below its title, with a ruler as long as the BPTT window where that fits."""

    def __init__(self, console: Console, sample: tuple[int, str], window: int, width: int) -> None:
        self._width = width
        step, text = sample
        shown = visible(text.strip("\n"))
        self.lines = [self._title(step, shown, window, width)]
        self.lines += _wrapped(console, Text(shown), width)

    @staticmethod
    def _title(step: int, text: str, window: int, width: int) -> Text:
        title = Text(f"── sample at step {step:,} ", style="dim")
        first_line = text.split("\n", 1)[0]
        length = cell_len(first_line[:window])
        ruler = f"─ {window} chars: the BPTT window ─┤"
        if len(first_line) >= window > 0 and length <= width and cell_len(ruler) + 30 <= length:
            title.append("─" * (length - title.cell_len - len(ruler)) + ruler)
        title.append("─" * (width - title.cell_len))
        title.truncate(width)
        return title

    def fitted(self, room: int) -> Lines:
        """The lines that fit; an ellipsis ends a text that is cut."""
        if len(self.lines) <= room:
            return self.lines
        cut = self.lines[:room]
        last = cut[-1].copy()
        if last.cell_len >= self._width:
            last.right_crop(1)
        cut[-1] = last.append("…", style="dim")
        return cut


def _short(unit: str) -> str:
    """A unit as it stands behind a figure: ``bits/char``."""
    return unit.replace("character", "char").replace(" per ", "/")


def _wrapped(console: Console, text: Text, width: int) -> Lines:
    return list(text.wrap(console, width, overflow="fold", tab_size=4))


def _in_rows(values: Sequence[tuple[str, str]], width: int) -> Lines:
    """Names and values beside each other, on as many lines as the width asks for."""
    lines: Lines = []
    for name, value in values:
        piece = Text.assemble((name + " ", "dim"), value)
        if lines and lines[-1].cell_len + 3 + piece.cell_len <= width:
            lines[-1].append("   ").append(piece)
        else:
            piece.truncate(width)
            lines.append(piece)
    return lines
