"""The live display of a training run."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chargen.cli.terminal.charts import sparkline
from chargen.cli.terminal.plain import PHASES, lines_of, plan_line
from chargen.cli.terminal.words import duration, human, visible
from chargen.training.events import Evaluation, Event, Finished, Planned, Sample, Step

REFRESH_SECONDS = 0.25


class LiveView:
    """Draws a training run: progress, figures, the loss curve, the latest sample."""

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
            chart = Text("\n".join(sparkline(self._losses, columns, height=4)), style="cyan")
            parts.append(_panel(chart, title, width=columns + 4))
        if self._sample:
            text = Text(visible(self._sample.text.strip("\n")))
            title = f"sample at step {self._sample.step:,}"
            parts.append(_panel(text, title))
        return Group(*parts, *[Text(line) for line in self._last_word])

    def _bar_width(self) -> int:
        return max(8, min(40, self._width() - 38))

    def _bar(self, step: Step) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        if self._plan is None:
            grid.add_row(f"step {step.step:,}", "measuring speed …")
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
