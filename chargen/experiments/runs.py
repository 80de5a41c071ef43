"""Training runs side by side: options in, curves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen import api
from chargen.corpus.prepared import PreparedCorpus
from chargen.evaluation.scores import NATS_TO_BITS
from chargen.training.events import Evaluation, Event, Planned, RolledBack, Started, Step


@dataclass(frozen=True)
class Course:
    """How a training run went.

    Attributes:
        name: of the run.
        parameters: that it learns.
        steps, seconds, bits, grad_norms: at each record of training: the step, the time since
            the beginning, the mean loss in bits a piece since the record before, and so the
            gradient's norm before clipping.
        evaluated_steps, evaluated_seconds, validation: at each evaluation, bits per character.
        total_steps: made in all.
        diverged_at: the step after which the loss was not finite, which ended the run.
        chars_per_second: of the steps alone, the mean.
    """

    name: str
    parameters: int
    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    bits: tuple[float, ...]
    grad_norms: tuple[float, ...]
    evaluated_steps: tuple[int, ...]
    evaluated_seconds: tuple[float, ...]
    validation: tuple[float, ...]
    total_steps: int
    diverged_at: int | None
    chars_per_second: float

    @property
    def best(self) -> float | None:
        """The lowest validation, in bits per character."""
        return min(self.validation, default=None)


def train_course(
    corpus: PreparedCorpus,
    folder: Path,
    name: str,
    on_share: Callable[[float], None],
    **options: Any,
) -> Course:
    """Train the run ``folder``/``name`` and return its curves; a loss not finite is its end.

    Args:
        corpus: what it learns from.
        folder: where the run is kept.
        name: of the run.
        on_share: told which share of the training is done.
        options: as ``chargen.api.train`` takes them.
    """
    events: list[Event] = []

    def on_event(event: Event) -> None:
        events.append(event)
        plans = [each.total_steps for each in events if isinstance(each, Planned)]
        if isinstance(event, Step) and plans:
            on_share(event.step / plans[-1])

    def diverged() -> bool:
        return any(isinstance(event, RolledBack) for event in events)

    api.train(corpus, name=name, out_dir=folder, on_event=on_event, stop=diverged, **options)
    on_share(1.0)
    return _course(name, events)


def _course(name: str, events: list[Event]) -> Course:
    (begun,) = [event for event in events if isinstance(event, Started)]
    failed = [event.failed_step for event in events if isinstance(event, RolledBack)]
    last = failed[0] if failed else max(event.step for event in events)
    steps = [event for event in events if isinstance(event, Step) and event.step <= last]
    measured = [event for event in events if isinstance(event, Evaluation) and not failed]
    return Course(
        name=name,
        parameters=begun.parameters,
        steps=tuple(event.step for event in steps),
        seconds=tuple(event.seconds for event in steps),
        bits=tuple(event.loss * NATS_TO_BITS for event in steps),
        grad_norms=tuple(event.grad_norm for event in steps),
        evaluated_steps=tuple(event.step for event in measured),
        evaluated_seconds=tuple(event.seconds for event in measured),
        validation=tuple(event.bits_per_char for event in measured),
        total_steps=last,
        diverged_at=failed[0] if failed else None,
        chars_per_second=sum(event.chars_per_second for event in steps) / max(1, len(steps)),
    )
