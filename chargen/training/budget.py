"""How long a run is, and when it is measured and saved on the way: all in steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chargen.options import Recipe, TrainConfig
from chargen.training.events import Planned
from chargen.training.pace import Clock, Pace
from chargen.training.presets import default_passes

if TYPE_CHECKING:
    from chargen.runs.config import RunConfig

_NEWS = 1.1
"""An estimate is reported again once it has changed by this factor."""
_NEWS_SECONDS = 10.0
"""Least time between two reports of how long a fixed number of steps takes."""


def planned_steps(
    config: TrainConfig, steps_per_epoch: int, characters: int, recipe: Recipe
) -> int | None:
    """Steps of the whole run; None: by the clock, once it is known how long a step takes."""
    if config.max_steps is not None:
        return config.max_steps
    if config.max_minutes is not None:
        return None
    passes = default_passes(characters, recipe) if config.epochs is None else config.epochs
    return max(1, round(passes * steps_per_epoch))


def evaluation_cost(config: RunConfig, val_characters: int) -> float:
    """What an evaluation costs, in training steps; 0 where nothing is kept for one."""
    recipe, training, machine = config.recipe, config.training, config.machine
    share = recipe.forward_share
    if machine and (machine.device, machine.precision) == ("cpu", "bfloat16"):
        share = recipe.forward_share_bfloat16
    scored = min(val_characters, recipe.evaluated_pieces)
    return scored * share / (training.seq_length * training.batch_size)


@dataclass(frozen=True)
class Rhythm:
    """Steps between evaluations, samples and checkpoints; 0: none before the end."""

    evaluate: int
    sample: int
    save: int

    @classmethod
    def of(cls, config: TrainConfig, total_steps: int | None, evaluation: float) -> Rhythm:
        """As the options say; else ten times a run, with a tenth of its time for evaluations.

        ``evaluation`` is what one costs, in training steps; 0: there are none.
        """
        if total_steps is None:
            evaluate = config.eval_every if evaluation else 0
            return cls(evaluate, config.sample_every, config.save_every)
        tenth = math.ceil(total_steps / 10)
        evaluate = config.eval_every or max(tenth, math.ceil(evaluation * 10))
        return cls(
            evaluate if evaluation else 0,
            config.sample_every or (evaluate if evaluation else 2 * tenth),
            config.save_every or evaluate,
        )


class Due(NamedTuple):
    """What is to be done after a step."""

    evaluate: bool
    sample: bool
    save: bool


class Timetable:
    """When a run ends and what is due on the way; by the clock, that is found while it trains.

    Attributes:
        total_steps: of the whole run; None: not known yet.
        rhythm: of evaluations, samples and checkpoints.
        pace: of the steps of this sitting.
        assumed: seconds of a step, where they were tried before the first one; else None.
    """

    def __init__(
        self, config: RunConfig, steps_per_epoch: int, val_characters: int, clock: Clock
    ) -> None:
        self._options, self._recipe = config.training, config.recipe
        self._evaluation = evaluation_cost(config, val_characters)
        self._estimate = 0
        self._announced: Planned | None = None
        self._pauses: dict[int, float] = {}  # seconds of evaluations, samples, checkpoints, by step
        self.assumed: float | None = None
        self.pace = Pace(clock)
        self.total_steps = config.total_steps or planned_steps(
            config.training, steps_per_epoch, config.corpus.train_characters, config.recipe
        )
        self._set_rhythm(self.total_steps)

    def _set_rhythm(self, total_steps: int | None) -> None:
        self.rhythm = Rhythm.of(self._options, total_steps, self._evaluation)

    def due(self, step: int, *, sample: bool = False, save: bool = False) -> Due:
        """What is due after ``step``: what the rhythm says, and what else is asked for.

        What happens at the end is left to the end.
        """
        every = self.rhythm.evaluate, self.rhythm.sample, self.rhythm.save
        due = [n > 0 and step % n == 0 and step != self.total_steps for n in every]
        return Due(due[0], due[1] or sample, due[2] or save)

    def pause(self, step: int, seconds: float) -> None:
        """Take into account how long training stood still after a step."""
        if step:
            self._pauses[step] = self._pauses.get(step, 0.0) + seconds

    def seconds_left(self, step: int, spent: float) -> float | None:
        """Estimate the time until the last step, pauses included; None: it can't be known yet."""
        each = self.pace.seconds_per_step or self.assumed
        budget = (self._options.max_minutes or 0.0) * 60
        if self.total_steps is None or each is None:
            return max(0.0, budget - spent) if budget else None
        left = self._time_of(max(0, self.total_steps - step), each)
        if budget:
            left = min(left, max(0.0, budget * self._recipe.clock_overtime - spent))
        return left

    def _time_of(self, steps: int, each: float) -> float:
        """The time of some steps, and of the evaluations, samples and checkpoints among them."""
        every = self.rhythm.evaluate or self.rhythm.sample
        if not every:
            return steps * each
        cost = self._evaluation * each
        if self._pauses:
            cost = sum(self._pauses.values()) / len(self._pauses)
        return steps * each + math.ceil(steps / every) * cost

    def announce(self, step: int, spent: float) -> Planned:
        """Report the number of steps, which is known, and how long they will take."""
        assert self.total_steps is not None
        total = spent + (self.seconds_left(step, spent) or 0.0)
        self._announced = Planned(step, spent, self.total_steps, total, fixed=True)
        return self._announced

    def _news(self, step: int, spent: float) -> Planned | None:
        """Announce the time of a fixed number of steps again where the last estimate was wrong."""
        before = self._announced
        if before is None or spent - before.seconds < _NEWS_SECONDS:
            return None
        total = spent + (self.seconds_left(step, spent) or 0.0)
        if before.total_seconds / _NEWS < total < before.total_seconds * _NEWS:
            return None
        return self.announce(step, spent)

    def plan(self, step: int, spent: float, each: float | None) -> Planned | None:
        """Estimate the number of steps that the minutes allow; fix it before a rate needs it.

        Where the number is known, only a change of the time that it takes is reported.

        Args:
            step: steps made so far.
            spent: seconds since training began.
            each: seconds of a step; None: too few have been timed.

        Returns:
            What is new, if anything is.
        """
        if self.total_steps is not None:
            return self._news(step, spent)
        recipe, minutes = self._recipe, (self._options.max_minutes or 0.0) * 60
        if spent < recipe.clock_estimate * minutes:
            return None
        total = self.affordable_steps(step, spent, each)
        if total is None:
            return None
        if self._is_due(step, total) and spent >= self._fix_share / 2 * minutes:
            # A hiccup is no pace. After one even the steps so far must have had the rate held.
            total = max(total, math.ceil((step - 1) / recipe.lr_hold))
            self._fix(total)
            return Planned(step, spent, total, minutes, fixed=True)
        if self._estimate / _NEWS < total < self._estimate * _NEWS:
            return None
        self._estimate = total
        self._set_rhythm(total)
        return Planned(step, spent, total, minutes, fixed=False)

    def plan_resumed(self, step: int, spent: float, each: float | None) -> None:
        """Fix the number of steps of a run that goes on where the rate is about to fall, or falls.

        A new budget may replace a number by which its rates fell. So they don't count as in
        ``plan``, whose arguments these are: the minutes that are left do.
        """
        total = self.affordable_steps(step, spent, each)
        if total is not None and self._is_due(step, total):
            self._fix(total)

    @property
    def _fix_share(self) -> float:
        """The share of a run by the clock after which its number of steps is fixed."""
        return self._recipe.clock_fix * self._recipe.lr_hold

    def _is_due(self, step: int, total: int) -> bool:
        return step >= self._fix_share * total

    def _fix(self, total: int) -> None:
        self.total_steps = total
        self._set_rhythm(total)

    def affordable_steps(self, step: int, spent: float, each: float | None) -> int | None:
        """The number of steps that the minutes allow in all; None: too few have been timed."""
        budget = (self._options.max_minutes or 0.0) * 60
        if each is None:
            return max(step, 1) if spent >= budget else None
        evaluation = self._evaluation * each
        total = step + int((budget - spent) / each)
        every = Rhythm.of(self._options, total, self._evaluation).evaluate
        if every:
            total = step + int((budget - spent - evaluation) / (each + evaluation / every))
        return max(total, step, 1)
