"""Training runs of experiments, with their curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen import api
from chargen.corpus.opening import open_corpus
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.shipped import PROSE, shipped_text
from chargen.errors import TrainingError
from chargen.evaluation.scores import NATS_TO_BITS
from chargen.training.events import (
    Evaluation,
    Event,
    Finished,
    RolledBack,
    ShareDone,
    Started,
    Step,
)


def open_text(corpus: api.Source | None) -> PreparedCorpus:
    """Open a text or a prepared corpus; None is the shipped prose."""
    return open_corpus(shipped_text(PROSE) if corpus is None else corpus, {}, None)


@dataclass(frozen=True)
class Course:
    """The course of a training run.

    Attributes:
        name: name of the run.
        parameters: number of parameters.
        steps, seconds: step and time of each record of training.
        bits, grad_norms: means since the previous record of the loss, in bits per piece, and of
            the gradient norm before clipping.
        evaluated_steps, evaluated_seconds, validation: step, time and bits per character of each
            evaluation.
        total_steps: number of steps in all.
        diverged_at: the step after which the loss was not finite and the run ended, or None.
        chars_per_second: mean speed of the steps, without evaluations.
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
        """The best evaluation, in bits per character."""
        return min(self.validation, default=None)


def train_course(
    corpus: PreparedCorpus,
    folder: Path,
    name: str,
    on_share: Callable[[float], None],
    **options: Any,
) -> Course:
    """Train a run until it is done or its loss isn't finite, and return its curves.

    Args:
        corpus: the corpus to train on.
        folder: the folder of runs.
        name: name of the run.
        on_share: called with the share of the training that is done.
        options: as ``chargen.api.train`` takes them; by default nothing is counted.
    """
    events: list[Event] = []
    done = ShareDone()

    def on_event(event: Event) -> None:
        events.append(event)
        done.note(event)
        on_share(done.share)

    def diverged() -> bool:
        return any(isinstance(event, RolledBack) for event in events)

    settings = {"ngram": 0, **options}
    try:
        api.train(corpus, name=name, runs_dir=folder, on_event=on_event, stop=diverged, **settings)
    except TrainingError:
        if not isinstance(events[-1], Finished):
            raise  # it hasn't diverged, which is a result
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
