"""Runs of a sweep, trained by workers: a leg is a run from where it is to a share of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen.api.training import train
from chargen.errors import ChargenError
from chargen.machine.signals import held_signals
from chargen.workers.messages import Hands


@dataclass(frozen=True)
class Leg:
    """A run, or a part of it.

    Attributes:
        name: of the run.
        options: of ``train``, the corpus among them.
        until: the share of the run after whose next evaluation it is saved and left; 1: its end.
    """

    name: str
    options: Mapping[str, Any]
    until: float


@dataclass(frozen=True)
class Ended:
    """A leg that is done.

    Attributes:
        whole: whether the run is.
        bits: of its best weights so far on the validation split.
    """

    whole: bool
    bits: float | None


@dataclass(frozen=True)
class TrainWork:
    """Trains runs in a folder; an error of theirs is a result."""

    folder: Path

    def begin(self, threads: int) -> Hands:
        """Get ready; 0 threads leave their number as it is.

        On SIGTERM, and by ``Hands.leave``, the run in hand is saved and left.
        """
        left = threading.Event()

        def do(legs: Iterable[Leg | None]) -> Iterator[tuple[int, Ended | ChargenError]]:
            for position, leg in enumerate(legs):
                if leg is None or left.is_set():
                    return
                try:
                    with held_signals(signal.SIGTERM) as seen:
                        ended = self._trained(leg, threads, lambda: bool(seen) or left.is_set())
                    if seen:
                        signal.raise_signal(signal.SIGTERM)
                    if not left.is_set():
                        yield position, ended
                except ChargenError as error:
                    yield position, error

        return Hands(do, {}, leave=left.set)

    def _trained(self, leg: Leg, threads: int, left: Callable[[], bool]) -> Ended:
        """Train a leg to its end, or until ``left``.

        It ends at an evaluation, without which the run can't be judged, and which a leg could not
        add: the run would no longer be the one that is trained without a break.
        """
        from chargen.training.events import Earlier, Evaluation, Event, Planned

        total, evaluated = 0, -1

        def on_event(event: Event) -> None:
            nonlocal total, evaluated
            if isinstance(event, Planned):
                total = event.total_steps
            elif isinstance(event, Evaluation):
                evaluated = event.step
            elif isinstance(event, Earlier) and event.evaluations:
                evaluated = event.evaluations[-1][0]

        def stop() -> bool:
            return left() or (leg.until < 1 and total > 0 and evaluated >= leg.until * total)

        options: dict[str, Any] = dict(leg.options)
        if threads and not options.get("threads"):
            options["threads"] = threads
        run = train(
            name=leg.name,
            runs_dir=self.folder,
            resume=True,
            on_event=on_event,
            stop=stop,
            **options,
        )
        return Ended(run.reason != "interrupted", run.bits_per_char)
