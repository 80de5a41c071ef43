"""What is known of a training run while it is watched, from its events."""

from __future__ import annotations

import time
from collections.abc import Callable

from chargen.training.events import (
    Earlier,
    Evaluation,
    Event,
    Finished,
    Planned,
    RolledBack,
    Sample,
    Started,
    Step,
)

Points = list[tuple[float, float]]
"""Steps, and scores after them, in the unit of the run."""

_MOST_POINTS = 2000
_SAMPLES = 3
_RISEN = 0.01
"""Share by which validation must lie above its best before a rise is reported."""


class Watched:
    """The state of a run: its curves in its unit, its best point, its last samples.

    Args:
        words: turns the names of options in messages into what its reader calls them.

    Attributes:
        started, planned, step, evaluation, finished: the last event of each kind, or None.
        training: the training loss; a long run's points are thinned out.
        validation: all evaluations.
        best: the best of them, or None.
        samples: the last ones, oldest first.
    """

    def __init__(self, words: Callable[[str], str] = str) -> None:
        self.words = words
        self.started: Started | None = None
        self.planned: Planned | None = None
        self.step: Step | None = None
        self.evaluation: Evaluation | None = None
        self.finished: Finished | None = None
        self.training: Points = []
        self.validation: Points = []
        self.best: tuple[float, float] | None = None
        self.samples: list[tuple[int, str]] = []
        self._begun = 0  # steps begun since the last Step
        self._told_at = time.monotonic()

    def note(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case Started():
                self.started = event
            case Planned():
                self.planned = event
            case Earlier():
                self.training = [(step, self.bits(nats)) for step, nats in event.losses]
                self._thin_out()
                for step, bits in event.evaluations:
                    self._add_evaluation(step, bits)
                self.samples = list(event.samples[-_SAMPLES:])
            case Step():
                self.step = event
                self._begun, self._told_at = 0, time.monotonic()
                self.training.append((event.step, self.bits(event.loss)))
                self._thin_out()
            case Evaluation():
                self.evaluation = event
                self._add_evaluation(event.step, event.bits_per_char)
            case Sample():
                self.samples = [*self.samples, (event.step, event.text)][-_SAMPLES:]
            case Finished():
                self.finished = event
            case RolledBack():
                self._begun = 0
                self._forget_after(event.step)

    @property
    def unit(self) -> str:
        """What the curves are in, such as ``bits per character``."""
        return self.started.unit if self.started else Started.unit

    @property
    def training_note(self) -> str:
        """What is to be said of the training figures; empty: they are what the unit says."""
        mixed = self.started is not None and self.started.mixed
        return "the mean with and without counts" if mixed else ""

    def bits(self, nats: float) -> float:
        """A training loss in nats, in the unit of the curves."""
        if self.started is None:
            return nats
        return nats * self.started.bits_per_nat + self.started.unknown_bits

    def begin_step(self) -> None:
        """Count a step that is about to be made."""
        self._begun += 1

    @property
    def steps(self) -> int:
        """Steps made so far."""
        if self.finished:
            return self.finished.step
        last = self.step or self.started
        return (last.step if last else 0) + max(0, self._begun - 1)

    @property
    def seconds_left(self) -> float | None:
        """Until the run ends; None where that can't be said, or is past."""
        if self.finished or self.step is None or self.step.seconds_left is None:
            return None
        return max(0.0, self.step.seconds_left - (time.monotonic() - self._told_at))

    @property
    def seconds_in_all(self) -> float | None:
        """Of the whole run, as they are estimated now."""
        if self.step is None or self.step.seconds_left is None:
            return None
        return self.step.seconds + self.step.seconds_left

    @property
    def rising(self) -> str | None:
        """A line of advice where validation rises while the training loss falls, else None."""
        if self.best is None or not self.training:
            return None
        step, bits = self.best
        later = [value for place, value in self.validation if place > step]
        before = [value for place, value in self.training if place <= step]
        if len(later) < 2 or min(later[-2:]) < bits * (1 + _RISEN) or not before:
            return None
        if self.training[-1][1] >= before[-1]:
            return None
        return self.words(
            f"Validation has risen since step {step:,.0f}: the text is being learnt by heart. The "
            "weights of that step are kept. What helps: more text, a higher `dropout`, a smaller "
            "`hidden_size`."
        )

    def _add_evaluation(self, step: float, bits: float) -> None:
        self.validation.append((step, bits))
        if self.best is None or bits < self.best[1]:
            self.best = step, bits

    def _thin_out(self) -> None:
        """Replace neighbours by their means once there are too many points."""
        while len(self.training) > _MOST_POINTS:
            points = self.training
            pairs = zip(points[::2], points[1::2], strict=False)
            last = points[-1:] if len(points) % 2 else []
            self.training = [((a + c) / 2, (b + d) / 2) for (a, b), (c, d) in pairs] + last

    def _forget_after(self, step: int) -> None:
        """Drop what came after a step that is trained from again; the best weights stay."""
        self.training = [point for point in self.training if point[0] <= step]
        self.validation = [
            point for point in self.validation if point[0] <= step or point == self.best
        ]
