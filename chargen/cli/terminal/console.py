"""The terminal: talk goes to standard error, reports to standard output."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from chargen.cli.terminal.words import human

if TYPE_CHECKING:
    from chargen.cli.terminal.plain import TrainingView


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
            from chargen.cli.terminal.plain import PlainView

            yield PlainView(self.say)
            return
        from rich.live import Live

        from chargen.cli.terminal.live import LiveView

        with Live(console=self.talk, auto_refresh=False) as live:
            yield LiveView(lambda view: live.update(view, refresh=True), lambda: self.talk.width)
