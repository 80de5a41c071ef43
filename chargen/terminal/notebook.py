"""The display of a training run in a notebook: a bar, and lines below it."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from chargen.terminal.bars import move
from chargen.terminal.plain import PHASES, PlainView, TrainingView
from chargen.training.events import Event, Planned, Step


@contextlib.contextmanager
def notebook_view(console: Console) -> Iterator[TrainingView]:
    """Show a bar; without the package ipywidgets, which draws it, only lines."""
    if importlib.util.find_spec("ipywidgets") is None:
        yield PlainView(print)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, refresh_per_second=2
    ) as progress:
        yield NotebookView(progress)


class NotebookView:
    """Moves a bar with each step, and prints evaluations and samples."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines = PlainView(lambda line: progress.console.print(Text(line)))
        self._task = progress.add_task("preparing", total=None)

    def preparing(self, phase: str, done: float, total: float) -> None:
        words = PHASES.get(phase, phase)
        move(self._progress, self._task, done, total or None, description=words)

    def tick(self) -> None:
        pass

    def event(self, event: Event) -> None:
        match event:
            case Planned():
                move(self._progress, self._task, event.step, event.total_steps)
            case Step():
                self._progress.update(
                    self._task, completed=event.step, description=f"loss {event.loss:.3f}"
                )
                return
        self._lines.event(event)
