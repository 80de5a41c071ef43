"""The display of a training run that is started from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chargen.corpus.progress import PrepareProgress
    from chargen.training.events import Event

OnEvent = Callable[["Event"], None]
OnProgress = Callable[["PrepareProgress"], None]


@contextmanager
def shown(
    on_event: OnEvent | None, on_progress: OnProgress | None, *, progress: bool
) -> Iterator[tuple[OnEvent, OnProgress | None]]:
    """Yield the functions to call with events and with the progress of preparing.

    With ``progress`` they show the run as well as calling ``on_event`` and ``on_progress``.
    """
    if not progress:
        yield on_event or _ignore, on_progress
        return
    from chargen.terminal.console import Terminal

    with Terminal().training() as view:

        def event(event: Event) -> None:
            view.event(event)
            if on_event:
                on_event(event)

        def preparing(progress: PrepareProgress) -> None:
            view.preparing(progress.phase, progress.done, progress.total)
            if on_progress:
                on_progress(progress)

        yield event, preparing


def _ignore(_event: Event) -> None:
    pass
