"""Training runs side by side: options in, curves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen import api
from chargen.corpus.opening import open_corpus
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.shipped import shipped_text
from chargen.evaluation.scores import NATS_TO_BITS
from chargen.training.events import Evaluation, Event, Planned, RolledBack, Started, Step

DEFAULT_TEXT = "shipan.txt"
"""The shipped text that experiments learn where none is named."""


def open_text(corpus: api.Source | None) -> PreparedCorpus:
    """A text or prepared corpus for an experiment; None: ``DEFAULT_TEXT``."""
    return open_corpus(shipped_text(DEFAULT_TEXT) if corpus is None else corpus, {}, None)


@dataclass(frozen=True)
class Course:
    """How a training run went.

    Attributes:
        name: of the run.
        parameters: how many numbers it learns.
        steps, seconds, bits, grad_norms: of each record of training: the step, the time since the
            beginning, and means since the record before of the loss, in bits per piece, and of the
            gradient's norm before clipping.
        evaluated_steps, evaluated_seconds, validation: of each evaluation, in bits per character.
        total_steps: made in all.
        diverged_at: the step after which the loss was not finite, which ended the run.
        chars_per_second: mean over the steps, without evaluations.
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
    """Train the run ``folder``/``name`` and return its curves; it ends if the loss isn't finite.

    Args:
        corpus: what it learns from.
        folder: where the run is kept.
        name: of the run.
        on_share: called with the share of the training that is done.
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

    api.train(corpus, name=name, runs_dir=folder, on_event=on_event, stop=diverged, **options)
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
