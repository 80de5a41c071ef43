"""How fast a run goes: the time of a step, and means over the last steps."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from chargen.corpus.manifest import Split
from chargen.training.events import Step

Clock = Callable[[], float]
"""Seconds, from any beginning."""
_UNTIMED_STEPS = 3
"""The first steps are slower: memory is taken, kernels are chosen."""

_TRIED_STEPS = 4  # to time one; the first is slower, and one of the others may be disturbed
_WHOLE_STEP = 1.1  # time of a step, with the optimiser, over that of its passes


def time_of_step(clock: Clock, try_step: Callable[[], object]) -> float:
    """Estimate the seconds of a step by trying its passes, ``try_step``, a few times."""
    seconds = []
    for _ in range(_TRIED_STEPS):
        began = clock()
        try_step()
        seconds.append(clock() - began)
    return median(seconds[1:]) * _WHOLE_STEP


class Pace:
    """Times the steps of a sitting."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steps = 0
        self._seconds = 0.0
        self._since = 0.0

    def assume(self, seconds: float) -> None:
        """Start from what a step was found to take, instead of timing the first ones."""
        self._steps, self._seconds = _UNTIMED_STEPS + 1, seconds

    def begin_step(self) -> None:
        self._since = self._clock()

    def end_step(self) -> None:
        self._steps += 1
        if self._steps > _UNTIMED_STEPS:
            self._seconds += self._clock() - self._since

    @property
    def seconds_per_step(self) -> float | None:
        """The mean; None: too few steps have been timed."""
        timed = self._steps - _UNTIMED_STEPS
        return self._seconds / timed if timed > 0 else None


class StepMeans:
    """Means over the steps since the last event, and the time that the steps took.

    Args:
        clock: that times them.
        text: whose pieces are learnt from; speeds are in its characters.
    """

    def __init__(self, clock: Clock, text: Split) -> None:
        self._clock, self._text = clock, text
        self.clear()

    def clear(self) -> None:
        self._steps, self._pieces, self._clipped = 0, 0, 0
        self._nats, self._norm, self._seconds = 0.0, 0.0, 0.0
        self._since = self._clock()

    def skip(self) -> float:
        """Leave out the time since the last step or ``skip``, and return it."""
        before, self._since = self._since, self._clock()
        return self._since - before

    def add(self, pieces: int, nats: float, norm: float, *, clipped: bool) -> None:
        """Count a step, which took all the time since the one before or the last ``skip``."""
        self._steps += 1
        self._pieces += pieces
        self._nats += nats
        self._norm += norm
        self._clipped += clipped
        now = self._clock()
        self._seconds += now - self._since
        self._since = now

    def event(
        self, step: int, seconds: float, lr: float, passes: float, left: float | None
    ) -> Step:
        """The means as an event, after which they begin anew."""
        characters = self._pieces * self._text.characters / max(1, self._text.pieces)
        event = Step(
            step,
            seconds,
            loss=self._nats / self._steps,
            grad_norm=self._norm / self._steps,
            clipped=self._clipped / self._steps,
            lr=lr,
            epoch=passes,
            chars_per_second=characters / max(self._seconds, 1e-9),
            seconds_left=left,
        )
        self.clear()
        return event
