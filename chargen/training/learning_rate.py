"""The learning rate: how high it is in a run, and what each step gets."""

from __future__ import annotations

import math

from chargen.options import Recipe, TrainConfig
from chargen.training.extent import Extent


def highest_learning_rate(
    extent: Extent, hidden_size: int, config: TrainConfig, recipe: Recipe
) -> float:
    """The highest learning rate of a run, where neither an option nor the preset says.

    A wider network gets a lower one. So does a smaller step, whose gradient is noisier.
    """
    lr = recipe.lr_of_optimizer[config.optimizer] * recipe.lr[extent.is_large(recipe)]
    smaller = min(1, config.batch_size * config.seq_length / recipe.lr_pieces)
    return round(lr * math.sqrt(recipe.lr_units / hidden_size * smaller), 5)


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
