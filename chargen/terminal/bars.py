"""Progress bars of work that has several phases."""

from __future__ import annotations

from typing import Any

from rich.progress import Progress, TaskID


def move(bar: Progress, task: TaskID, done: float, total: float | None, **fields: Any) -> None:
    """Move a bar to ``done`` of ``total``.

    Each phase counts from 0 again: a count that is 0 or falls starts the clock anew, so that rate
    and time left are those of the phase.
    """
    if not done or done < bar.tasks[task].completed:
        bar.reset(task, total=total)
    bar.update(task, completed=done, total=total, **fields)
