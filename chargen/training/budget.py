"""How long a run is, and how often it stops to look: in steps, from epochs, minutes or neither."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from chargen.config import TrainConfig
from chargen.evaluation.scores import SEGMENT
from chargen.training.presets import default_epochs

EVALUATED_PIECES = 128 * SEGMENT
"""Of the validation split, so many pieces at most are scored during training: its beginning."""
_FORWARD_SHARE = 1 / 3
"""A forward pass costs about a third of a training step."""
_UNTIMED_STEPS = 3
"""The first steps are slower: memory is taken, kernels are chosen."""


def planned_steps(config: TrainConfig, steps_per_epoch: int, characters: int) -> int | None:
    """Steps of the whole run; None: by the clock, once it is known how long a step takes."""
    if config.max_steps is not None:
        return config.max_steps
    if config.max_minutes is not None:
        return None
    epochs = default_epochs(characters) if config.epochs is None else config.epochs
    return max(1, round(epochs * steps_per_epoch))


@dataclass(frozen=True)
class Rhythm:
    """Steps between evaluations, samples and checkpoints; 0: never on the way."""

    evaluate: int
    sample: int
    save: int

    @classmethod
    def of(cls, config: TrainConfig, total_steps: int | None, val_characters: int) -> Rhythm:
        """Where the user didn't choose: ten times a run, evaluations a tenth of the time."""
        if total_steps is None:
            evaluate = config.eval_every if val_characters else 0
            return cls(evaluate, config.sample_every, config.save_every)
        tenth = math.ceil(total_steps / 10)
        window = config.seq_length * config.batch_size
        cost = evaluation_characters(val_characters) * _FORWARD_SHARE / window
        evaluate = config.eval_every or max(tenth, math.ceil(cost * 10))
        return cls(
            evaluate if val_characters else 0,
            config.sample_every or (evaluate if val_characters else 2 * tenth),
            config.save_every or evaluate,
        )


def evaluation_characters(val_characters: int) -> int:
    """Characters that one evaluation scores."""
    return min(val_characters, EVALUATED_PIECES)


class Pace:
    """Times the steps, and turns minutes into a number of them."""

    def __init__(self) -> None:
        self._steps = 0
        self._seconds = 0.0
        self._since = 0.0

    def assume(self, seconds: float) -> None:
        """Begin with what a step was found to take, in place of the first steps."""
        self._steps, self._seconds = _UNTIMED_STEPS + 1, seconds

    def begin_step(self) -> None:
        self._since = time.perf_counter()

    def end_step(self) -> None:
        self._steps += 1
        if self._steps > _UNTIMED_STEPS:
            self._seconds += time.perf_counter() - self._since

    @property
    def seconds_per_step(self) -> float | None:
        timed = self._steps - _UNTIMED_STEPS
        return self._seconds / timed if timed > 0 else None

    def affordable_steps(
        self, config: TrainConfig, step: int, spent: float, val_characters: int
    ) -> int | None:
        """The number of steps that the minutes allow in all; None: too few are timed to tell.

        Args:
            config: with ``max_minutes``.
            step: steps made so far.
            spent: seconds since training began.
            val_characters: of the validation split; evaluations cost time too.
        """
        assert config.max_minutes is not None
        budget = config.max_minutes * 60
        each = self.seconds_per_step
        if each is None:
            return max(step, 1) if spent >= budget else None
        window = config.seq_length * config.batch_size
        evaluation = evaluation_characters(val_characters) * _FORWARD_SHARE / window * each
        total = step + int((budget - spent) / each)
        every = Rhythm.of(config, total, val_characters).evaluate
        if every:
            total = step + int((budget - spent - evaluation) / (each + evaluation / every))
        return max(total, step, 1)
