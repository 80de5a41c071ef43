"""The learning-rate range test: at which rates a network learns a corpus, before it is trained.

Smith, "Cyclical learning rates for training neural networks", WACV 2017, 3.3: the rate rises
from step to step while the loss is watched. Here it rises exponentially, as has become usual.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chargen.errors import TrainingError
from chargen.machine.devices import autocast, resolve_device
from chargen.machine.settings import under_training_settings
from chargen.training.accumulation import accumulate_gradient
from chargen.training.beginning import begin_weights
from chargen.training.counts import Counts
from chargen.training.material import material_of
from chargen.training.optimizer import clip_gradients, optimized, set_learning_rate
from chargen.training.plan import Plan
from chargen.training.state import TrainingState

STEPS = 300
"""At most; the test ends earlier once the loss rises again."""
_LOWEST, _HIGHEST = 1e-3, 1e2
"""The rates tried, as shares of the configured one."""
_WIDTH = 0.1
"""Standard deviation of the bell that smooths the losses, in decades of the rate."""
_BELOW_LOWEST = 4.0
"""The rate of the lowest loss over this is suggested: measured, tests/benchmarks/README.md."""
_CHANCE = 2.0
"""Standard errors by which the lowest of many means lies too low, about, where they are alike."""
_RECENT = 8
"""The test ends when the mean over this many steps has lost half of what was gained."""
_NOISE = 0.5
"""Nats by which losses may go up and down where little was gained."""
_SCATTER = 4.0
"""Standard errors of the mean over these steps by which it may rise by chance."""


@dataclass(frozen=True)
class RangeTest:
    """Losses while the learning rate rose.

    Attributes:
        lr: of each step.
        loss: of each step, in nats per piece.
        smoothed: the same, each a mean over the rates around it.
        configured_lr: the rate that the run would have.
        lowest_lr: the highest rate at which the smoothed loss is lowest, or above that by no more
            than chance.
        suggested_lr: a quarter of that. In a range test the loss falls for as long as a step does
            more good than harm; a rate that is held for a whole run must be lower.
        diverged: whether the loss rose again; if not, higher rates may be good too.
        notes: what was adapted to the corpus, one line each.
    """

    lr: tuple[float, ...]
    loss: tuple[float, ...]
    smoothed: tuple[float, ...]
    configured_lr: float
    lowest_lr: float
    suggested_lr: float
    diverged: bool
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"<RangeTest of {len(self.lr)} steps: suggested lr {self.suggested_lr:.2g}, "
            f"configured {self.configured_lr:.2g}>"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def range_test(plan: Plan, on_step: Callable[[int, int], None] | None = None) -> RangeTest:
    """Train what ``plan`` describes from its beginning, at a rising rate; nothing is kept.

    Args:
        plan: network, corpus and training options; the rates tried are shares of its ``lr``.
        on_step: called with the number of steps made, and of all steps.

    Raises:
        TrainingError: the loss was not finite from the beginning.
    """
    configured = plan.config.training.lr
    exponents = np.linspace(math.log10(_LOWEST), math.log10(_HIGHEST), STEPS)
    rates = [float(rate) for rate in configured * 10**exponents]
    losses: list[float] = []
    diverged = False
    losses_by_rate = under_training_settings(_losses(plan, rates), plan.config.training.threads)
    with closing(losses_by_rate) as tried:
        for loss in tried:
            if on_step:
                on_step(len(losses) + 1, STEPS)
            # Below, little is learnt, and small batches differ by more.
            late = rates[len(losses)] >= configured
            diverged = not math.isfinite(loss) or (late and _has_diverged([*losses, loss]))
            if diverged:
                break
            losses.append(loss)
    if not losses:
        raise TrainingError(
            "The loss is not finite, whatever the learning rate.",
            "Start from another run (`init_from`), or from none.",
        )
    rates = rates[: len(losses)]
    smoothed = _smoothed(rates, losses)
    lowest = rates[_lowest(losses, smoothed)]
    return RangeTest(
        lr=tuple(rates),
        loss=tuple(losses),
        smoothed=tuple(smoothed),
        configured_lr=configured,
        lowest_lr=lowest,
        suggested_lr=float(f"{lowest / _BELOW_LOWEST:.2g}"),
        diverged=diverged,
        notes=plan.notes,
    )


def _losses(plan: Plan, rates: Sequence[float]) -> Generator[float, None, None]:
    """The loss of one training step at each rate, before its update."""
    options, corpus = plan.config.training, plan.corpus
    parts = options.gradient_accumulation_steps
    device = resolve_device(options.device)
    state = TrainingState(plan.config, device)
    model, optimizer = state.model, state.optimizer
    state.set_dropout(options.dropout)
    forward = autocast(plan.config.precision, device)
    begin_weights(model, corpus, plan.source, plan.config.recipe)
    material = material_of(plan.config, corpus, Counts.of(corpus, plan.config.model))
    for lr in rates:
        lesson = material.lesson(state)
        model.zero_grad(set_to_none=True)
        loss, state.carried = accumulate_gradient(model, lesson, state.dropout, parts, forward)
        yield float(loss)
        clip_gradients(optimized(optimizer), options.grad_clip)
        set_learning_rate(optimizer, lr)
        optimizer.step()
        state.step += 1


def _has_diverged(losses: Sequence[float]) -> bool:
    """Whether the newest losses have lost half of what was gained since the first.

    Losses of small batches scatter.
    """
    if len(losses) < 2 * _RECENT:
        return False
    means = np.convolve(losses, np.full(_RECENT, 1 / _RECENT), mode="valid")
    error = _scatter(losses) / math.sqrt(_RECENT)
    gained = max(means[0] - means.min(), _NOISE)
    return bool(means[-1] - means.min() > max(gained / 2, _SCATTER * error))


def _lowest(losses: Sequence[float], smoothed: Sequence[float]) -> int:
    """The last place where the smoothed loss is as low as anywhere, but for chance.

    A classifier learns little within the test, and its batches differ by much more. Then the lowest
    loss may be at any rate below those that do harm.
    """
    decade = (STEPS - 1) / math.log10(_HIGHEST / _LOWEST)
    within = 2 * math.sqrt(math.pi) * _WIDTH * decade  # losses in the mean of a bell, in effect
    error = _scatter(losses) / math.sqrt(within)
    low = np.asarray(smoothed) <= min(smoothed) + _CHANCE * error
    return int(np.flatnonzero(low)[-1])


def _scatter(losses: Sequence[float]) -> float:
    """The standard deviation of losses, by their differences from step to step."""
    return float(np.diff(losses).std()) / math.sqrt(2) if len(losses) > 1 else 0.0


def _smoothed(rates: Sequence[float], losses: Sequence[float]) -> list[float]:
    """Means of the losses under a bell over log10 of the rate, centred so that none lags behind."""
    place = np.log10(rates)
    weights = np.exp(-0.5 * ((place[:, None] - place) / _WIDTH) ** 2)
    means = weights @ np.asarray(losses) / weights.sum(axis=1)
    return [float(mean) for mean in means]
