"""The live display of a training run: the whole terminal while it lasts, a summary afterwards."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chargen.machine.signals import held_signals
from chargen.terminal.dashboard import Dashboard
from chargen.terminal.plain import PHASES, lines_of
from chargen.terminal.restoring import restored_terminal
from chargen.terminal.watched import Watched
from chargen.training.events import (
    Checkpoint,
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
_TICK_SECONDS = 1.0
_SUMMARY_LINES = 30


class LiveView:
    """Draws a training run on the alternate screen, whose size it follows.

    What precedes training and the summary stay on the normal screen.
    """

    def __init__(self, console: Console, words: Callable[[str], str] = str) -> None:
        self._console = console
        self._run = Watched(words)
        self._live: Live | None = None
        self._drawn_at = 0.0
        self._size = console.size
        self._notes: list[str] = []
        self._last_word: list[str] = []
        self._restored = contextlib.ExitStack()

    def __enter__(self) -> LiveView:
        with contextlib.suppress(OSError, ValueError):  # a file without a descriptor
            self._restored.enter_context(restored_terminal(self._console.file.fileno()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with held_signals(signal.SIGINT, signal.SIGTERM) as seen:
            self._close()
        self._restored.close()
        for number in seen:
            signal.raise_signal(number)
        if self._run.step:
            self._console.print(self.summary())
        for line in self._last_word:
            self._console.print(Text(line), soft_wrap=True)

    def preparing(self, phase: str, done: float, total: float) -> None:
        grid = Table.grid(padding=(0, 1))
        words = PHASES.get(phase, phase)
        width = max(8, min(40, self._console.width - len(words) - 2))
        grid.add_row(ProgressBar(total=total or 1, completed=done, width=width), Text(words))
        self._show(grid, screen=False)

    def event(self, event: Event) -> None:
        self._run.note(event)
        match event:
            case Started():
                self._close()
                self._notes = lines_of(event, self._run.words, self._run.unit)
                for line in self._notes:
                    self._console.print(Text(line), soft_wrap=True)
            case Finished():
                self._last_word += lines_of(event, self._run.words, self._run.unit)
            case RolledBack():
                self._notes = self._last_word = [
                    *self._last_word,
                    *lines_of(event, self._run.words, self._run.unit),
                ]
            case Checkpoint() | Evaluation() | Planned() | Sample() | Step():
                pass
        if not isinstance(event, Finished):
            self._show(Dashboard(self._run, self._notes), screen=True)

    def tick(self) -> None:
        """Count a step; draw again if the terminal's size has changed, or after a second."""
        self._run.begin_step()
        if not (self._live and self._due()):
            return
        if self._console.size != self._size or time.monotonic() - self._drawn_at >= _TICK_SECONDS:
            self._show(Dashboard(self._run, self._notes), screen=True)

    def summary(self) -> RenderableType:
        """What stays on the terminal after the run."""
        return Dashboard(self._run, height=min(_SUMMARY_LINES, self._console.height - 2))

    def _due(self) -> bool:
        return time.monotonic() - self._drawn_at >= REFRESH_SECONDS

    def _show(self, view: RenderableType, *, screen: bool) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console, screen=screen, auto_refresh=False, transient=True
            )
            self._live.start()
        elif not self._due():
            return
        self._drawn_at, self._size = time.monotonic(), self._console.size
        self._live.update(view, refresh=True)

    def _close(self) -> None:
        if self._live:
            # Some terminals keep lines of an alternate screen that was resized: leave it empty.
            self._live.update(Text(""), refresh=True)
            self._live.stop()
            self._live = None
