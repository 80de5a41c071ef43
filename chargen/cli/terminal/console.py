"""The terminal: the only place that knows rich. Talk goes to standard error."""

from __future__ import annotations

import contextlib
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chargen.training.events import (
    Evaluation,
    Event,
    Finished,
    Planned,
    RolledBack,
    Sample,
    Started,
    Step,
)

REFRESH_SECONDS = 0.25
PHASES = {
    "detect": "detecting the encoding",
    "count": "counting characters",
    "encode": "encoding and verifying",
}
_BLOCKS = " ▁▂▃▄▅▆▇█"


class Terminal:
    """Where talk and reports go: ``talk`` is standard error, ``data`` standard output.

    ``quiet`` silences the talk; a report was asked for, and is printed all the same.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.talk = Console(stderr=True, quiet=quiet, highlight=False)
        self.data = Console(highlight=False)

    @property
    def live(self) -> bool:
        """Whether things may move: a terminal, and not quiet."""
        return self.talk.is_terminal and not self.quiet

    def say(self, line: str) -> None:
        """A line of talk; long ones are wrapped by the terminal, never marked up."""
        self.talk.print(Text(line), soft_wrap=True)

    def table(self, title: str, rows: Iterable[tuple[str, str]]) -> None:
        """A report of names and values on standard output."""
        table = Table(title=Text(title), title_justify="left", show_header=False, box=None)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(name), Text(value))
        self.data.print(table)

    def grid(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table with a header on standard output; numbers stand to the right."""
        self.data.print(Text(title), soft_wrap=True)
        table = Table(box=None)
        for n, name in enumerate(header):
            table.add_column(Text(name), justify="right" if n else "left")
        for row in rows:
            table.add_row(*[Text(value) for value in row])
        self.data.print(table)

    @property
    def columns(self) -> int:
        """Of a picture: as wide as the terminal, but for very wide ones."""
        return min(96, self.data.width)

    def picture(self, title: str, lines: Sequence[str]) -> None:
        """A drawing on standard output, below its title."""
        self.data.print(Text("\n".join(["", title, *lines])), no_wrap=True, crop=False)

    def note(self, line: str) -> None:
        """A line that belongs to a report, on standard output."""
        self.data.print(Text(line), soft_wrap=True)

    @contextlib.contextmanager
    def progress(self, what: str, unit: str) -> Iterator[Callable[[str, float, float], None]]:
        """A progress bar, or a line now and then where nothing may move.

        Yields a function to call with (phase, done, total); ``unit`` names what is counted, and
        the rate is shown in it; empty: no rate. Lines come at most every ten seconds.
        """
        if not self.live:
            yield self._plain_progress(what, unit)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=self.talk, refresh_per_second=4, transient=True)
        with bar:
            task = bar.add_task(what, total=None, rate="")

            def update(phase: str, done: float, total: float) -> None:
                speed = bar.tasks[task].speed
                rate = f"{human(speed)} {unit}/s" if speed and unit else ""
                bar.update(task, description=phase, completed=done, total=total or None, rate=rate)

            yield update

    def _plain_progress(self, what: str, unit: str) -> Callable[[str, float, float], None]:
        began = told = time.monotonic()

        def update(phase: str, done: float, total: float) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= 10:
                told = now
                share = [f"{done / total:.0%}"] if total else []
                rate = [f"{human(done / (now - began))} {unit}/s"] if unit else []
                self.say(f"{phase or what}: {', '.join(share + rate)}")

        return update

    @contextlib.contextmanager
    def training(self) -> Iterator[TrainingView]:
        """A view of a training run: live on a terminal, plain lines elsewhere."""
        if not self.live:
            yield PlainView(self.say)
            return
        with Live(console=self.talk, auto_refresh=False) as live:
            yield LiveView(lambda view: live.update(view, refresh=True), lambda: self.talk.width)


class TrainingView(Protocol):
    """What is told of a training run."""

    def preparing(self, phase: str, done: float, total: float) -> None: ...

    def event(self, event: Event) -> None: ...


class PlainView:
    """A training run in lines: every evaluation, sample and turn, steps every ten seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said_at = -10.0
        self._phase, self._prepared_at = "", 0.0
        self._total: int | None = None

    def preparing(self, phase: str, done: float, total: float) -> None:
        now = time.monotonic()
        if phase != self._phase or now - self._prepared_at >= 10:
            share = f", {done / total:.0%}" if done and total else ""
            self._say(f"Preparing the text: {PHASES.get(phase, phase)}{share}.")
            self._phase, self._prepared_at = phase, now

    def event(self, event: Event) -> None:
        match event:
            case Step():
                if event.seconds - self._said_at >= 10 or event.step == self._total:
                    self._said_at = event.seconds
                    self._say(self._step_line(event))
            case Planned():
                self._total = event.total_steps
                self._say(plan_line(event))
            case Sample():
                self._say(f"--- a sample at step {event.step}\n{visible(event.text)}\n---")
            case _:
                for line in lines_of(event):
                    self._say(line)

    def _step_line(self, event: Step) -> str:
        of = f"/{self._total}" if self._total else ""
        return (
            f"step {event.step}{of}: loss {event.loss:.3f} nats, "
            f"gradient norm {event.grad_norm:.2f}, {human(event.chars_per_second)} characters/s"
        )


def lines_of(event: Event) -> list[str]:
    """What an event says in words; nothing for those that are better drawn."""
    match event:
        case Started():
            threads = f"{event.threads} thread{'s' if event.threads != 1 else ''}"
            where = threads if event.device == "cpu" else event.device
            begun = f"going on at step {event.step}, " if event.step else ""
            line = (
                f"{begun}{human(event.parameters)} parameters, "
                f"{event.train_characters:,} characters to learn from, {where}"
            )
            return [*event.notes, line[0].upper() + line[1:] + "."]
        case Evaluation():
            mark = " (best so far)" if event.best else ""
            return [
                f"step {event.step}: validation {event.bits_per_char:.3f} bits per character, "
                f"{event.accuracy:.1%} right{mark}"
            ]
        case RolledBack():
            return [
                f"The loss after step {event.failed_step} was not finite: back to step "
                f"{event.step}, learning rate × {event.lr_scale:g} from now on."
            ]
        case Finished():
            why = {
                "done": "Done",
                "patience": "Stopped: no better for long enough",
                "time": "Stopped: the time is over",
                "interrupted": "Interrupted; go on with --resume",
            }[event.reason]
            best = event.best_bits_per_char
            figure = "" if best is None else f", best validation {best:.3f} bits per character"
            return [f"{why}: step {event.step}, {duration(event.seconds)}{figure}. {event.run}"]
    return []


def plan_line(event: Planned) -> str:
    steps, time = f"{event.total_steps:,} steps in all", duration(event.total_seconds)
    return f"{steps}, about {time}." if event.fixed else f"About {steps}, in {time}."


class LiveView:
    """A training run as a picture: where it is, how well it goes, what it writes."""

    def __init__(self, draw: Callable[[RenderableType], None], width: Callable[[], int]) -> None:
        self._draw = draw
        self._width = width
        self._drawn_at = 0.0
        self._lines: list[str] = []
        self._last_word: list[str] = []
        self._plan: Planned | None = None
        self._step: Step | None = None
        self._evaluation: Evaluation | None = None
        self._best: Evaluation | None = None
        self._sample: Sample | None = None
        self._losses: list[float] = []

    def preparing(self, phase: str, done: float, total: float) -> None:
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=total or 1, completed=done, width=self._bar_width())
        grid.add_row(bar, Text(PHASES.get(phase, phase)))
        self._show(grid)

    def event(self, event: Event) -> None:
        self._note(event)
        self._show(self.render(), now=isinstance(event, Finished))

    def _show(self, view: RenderableType, *, now: bool = False) -> None:
        if now or time.monotonic() - self._drawn_at >= REFRESH_SECONDS:
            self._drawn_at = time.monotonic()
            self._draw(view)

    def _note(self, event: Event) -> None:
        match event:
            case Planned():
                self._plan = event
            case Step():
                self._step = event
                self._losses.append(event.loss)
            case Sample():
                self._sample = event
            case Evaluation():
                self._evaluation = event
                self._best = event if event.best else self._best
            case Finished():
                self._last_word = lines_of(event)
            case _:
                self._lines += lines_of(event)

    def render(self) -> RenderableType:
        parts: list[RenderableType] = [Text(line) for line in self._lines]
        if self._plan:
            parts.append(Text(plan_line(self._plan)))
        if self._step:
            parts += [self._bar(self._step), self._figures(self._step)]
        if len(self._losses) > 1:
            title = f"loss, nats: {self._losses[0]:.2f} → {self._losses[-1]:.2f}"
            columns = max(8, min(64, self._width() - 4))
            chart = Text("\n".join(curve(self._losses, columns, height=4)), style="cyan")
            parts.append(_panel(chart, title, width=columns + 4))
        if self._sample:
            text = Text(visible(self._sample.text.strip("\n")))
            title = f"a sample at step {self._sample.step}"
            parts.append(_panel(text, title))
        return Group(*parts, *[Text(line) for line in self._last_word])

    def _bar_width(self) -> int:
        return max(8, min(40, self._width() - 38))

    def _bar(self, step: Step) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        if self._plan is None:
            grid.add_row(f"step {step.step:,}", "measuring the speed …")
            return grid
        total = self._plan.total_steps
        left = step.seconds / max(1, step.step) * (total - step.step)
        grid.add_row(
            ProgressBar(total=total, completed=step.step, width=self._bar_width()),
            f"step {step.step:,} of {total:,}",
            "" if self._last_word else f"{duration(left)} left",
        )
        return grid

    def _figures(self, step: Step) -> RenderableType:
        grid = Table.grid(padding=(0, 3))
        in_a_row = 3 if self._width() >= 90 else 2
        values = [
            ("loss", f"{step.loss:.3f} nats"),
            ("validation", "–" if self._evaluation is None else self._validation()),
            ("speed", f"{human(step.chars_per_second)} chars/s"),
            ("gradient norm", f"{step.grad_norm:.2f}"),
            ("learning rate", f"{step.lr:.2g}"),
            ("epoch", f"{step.epoch:.2f}"),
        ]
        for first in range(0, len(values), in_a_row):
            row = values[first : first + in_a_row]
            grid.add_row(*[Text.assemble((name + " ", "dim"), value) for name, value in row])
        return grid

    def _validation(self) -> str:
        assert self._evaluation is not None
        now = f"{self._evaluation.bits_per_char:.3f} bits/char"
        if self._best and self._best is not self._evaluation:
            now += f" (best {self._best.bits_per_char:.3f})"
        return now


def _panel(content: Text, title: str, width: int | None = None) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="dim", width=width)


def curve(values: Sequence[float], width: int, height: int) -> list[str]:
    """A curve in block characters: ``height`` lines of at most ``width`` columns.

    Each column is the mean of its share of the values; the lowest value touches the ground.
    """
    columns = min(width, len(values))
    edges = [round(n * len(values) / columns) for n in range(columns + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    levels = [1 + round((m - low) / ((high - low) or 1) * (height * 8 - 1)) for m in means]
    return [
        "".join(_BLOCKS[min(8, max(0, level - 8 * row))] for level in levels)
        for row in reversed(range(height))
    ]


def human(number: float) -> str:
    """1234567 as ``1.2 M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """Seconds as people say them: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def visible(text: str) -> str:
    """``text`` with its control characters made visible, so that no terminal obeys them."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t":
        return character
    kind = unicodedata.category(character)
    if kind == "Cc":
        point = ord(character)
        return chr(0x2400 + point) if point < 0x20 else "␡" if point == 0x7F else f"<{point:02X}>"
    if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        return f"<{ord(character):04X}>"
    return character
