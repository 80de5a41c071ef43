"""The schedules: which learning rate and which share of dropout each step gets.

Which learning rate a run has at its highest is decided in ``presets``.
"""

from __future__ import annotations

import math

from chargen.options import Recipe, TrainConfig


def learning_rate(step: int, total_steps: int | None, config: TrainConfig, recipe: Recipe) -> float:
    """The rate of step ``step`` (from 0): a linear rise, ``lr``, a cosine to ``lr_final`` · lr.

    The rise takes ``warmup_steps``, and ``lr`` is held up to ``lr_hold`` of ``total_steps``. That
    number need not be known before: a run by the clock has seen by then how fast the machine is.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if total_steps is None:
        return config.lr
    held = max(config.warmup_steps, recipe.lr_hold * total_steps)
    done = max(0.0, step - held) / max(1, total_steps - held)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.lr * (config.lr_final + (1 - config.lr_final) * cosine)


def dropout_share(passes: float, config: TrainConfig, recipe: Recipe) -> float:
    """The share dropped after so many passes over the text: it rises with their logarithm.

    A new text needs no dropout, which only slows learning down; the more often it has been read,
    the more of it is memorised. The share depends on what has been read, not on the budget, so
    that a run by the clock can be repeated by its number of steps.
    """
    grown = config.dropout + config.dropout_growth * math.log2(1 + passes)
    return max(config.dropout, min(recipe.growth_limit, grown))
