"""The terminal: messages go to standard error, reports to standard output."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from chargen.terminal.words import human, wrapped

if TYPE_CHECKING:
    from rich.console import Console

    from chargen.terminal.plain import TrainingView


class Terminal:
    """Prints messages on standard error (``talk``) and reports on standard output (``data``).

    ``quiet`` silences messages, but not reports; ``words`` turns the names of options in messages
    about a run into what its reader calls them.
    """

    def __init__(self, *, quiet: bool = False, words: Callable[[str], str] = str) -> None:
        self.quiet, self._words = quiet, words

    @cached_property
    def talk(self) -> Console:
        """Standard error."""
        from rich.console import Console  # which is slow to import

        return Console(stderr=True, quiet=self.quiet, highlight=False)

    @cached_property
    def data(self) -> Console:
        """Standard output."""
        from rich.console import Console

        return Console(highlight=False)

    @property
    def live(self) -> bool:
        """Whether live displays can be shown: on a terminal that can move its cursor, not quiet."""
        return self.talk.is_terminal and not self.talk.is_dumb_terminal and not self.quiet

    def say(self, line: str) -> None:
        """Print a message without markup; a terminal gets a long line broken between words."""
        if self.quiet:
            return
        if not sys.stderr.isatty():
            print(line, file=sys.stderr)
            return
        from rich.text import Text

        lines = "\n".join(wrapped(each, self.talk.width) for each in line.split("\n"))
        self.talk.print(Text(lines), soft_wrap=True)

    def table(self, title: str, rows: Iterable[tuple[str, str]]) -> None:
        """Print a report of names and values."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title), title_justify="left", show_header=False, box=None)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(name), Text(value))
        self.data.print(table)

    def grid(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table with a header; all columns but the first are aligned right.

        One that is too wide is turned: a column for each row, in several tables if need be.
        """
        from rich.table import Table
        from rich.text import Text

        from chargen.terminal.tables import fitted

        self.data.print(Text(title), soft_wrap=True)
        for n, lines in enumerate(fitted(header, list(rows), self.data.width)):
            if n:
                self.data.print()
            table = Table(box=None)
            for place, name in enumerate(lines[0]):
                side: Literal["left", "right"] = "right" if place else "left"
                table.add_column(Text(name), justify=side, overflow="fold")
            for row in lines[1:]:
                table.add_row(*[Text(value) for value in row])
            self.data.print(table)

    @property
    def columns(self) -> int:
        """Width of a chart: that of the terminal, up to a limit."""
        return min(96, self.data.width)

    def picture(self, title: str, lines: Sequence[str]) -> None:
        """Print a chart below its title."""
        from rich.text import Text

        self.data.print(Text("\n".join(["", title, *lines])), no_wrap=True, crop=False)

    def note(self, line: str) -> None:
        """Print a line of a report."""
        from rich.text import Text

        self.data.print(Text(line), soft_wrap=True)

    @contextlib.contextmanager
    def progress(
        self, what: str, unit: str, *, live: bool = True
    ) -> Iterator[Callable[[str, float, float], None]]:
        """Show a progress bar, or a line at most every ten seconds where it can't be live.

        Yields a function to call with (phase, done, total). The rate is shown in ``unit`` per
        second; if ``unit`` is empty, no rate is shown. ``live=False`` never shows a bar.
        """
        if not (live and self.live):
            yield self._plain_progress(what, unit)
            return
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        from chargen.terminal.bars import move

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
                move(bar, task, done, total or None, description=phase, rate=rate)

            yield update

    def _plain_progress(self, what: str, unit: str) -> Callable[[str, float, float], None]:
        began = said = time.monotonic()
        before = 0.0

        def update(phase: str, done: float, total: float) -> None:
            nonlocal said, began, before
            now = time.monotonic()
            if not done or done < before:  # another phase
                began = now
            before = done
            if now - said >= 10:
                said = now
                share = [f"{done / total:.0%}"] if total else []
                rate = [f"{human(done / (now - began))} {unit}/s"] if unit and now > began else []
                self.say(f"{phase or what}: {', '.join(share + rate)}")

        return update

    @contextlib.contextmanager
    def training(self) -> Iterator[TrainingView]:
        """Show a training run: live on a terminal, else in plain lines."""
        if self.talk.is_jupyter:
            from chargen.terminal.notebook import notebook_view

            with notebook_view(self.talk) as shown:
                yield shown
            return
        if not self.live:
            from chargen.terminal.plain import PlainView

            yield PlainView(self.say, self._words)
            return
        from chargen.terminal.live import LiveView

        with LiveView(self.talk, self._words) as view:
            yield view
