"""Dropout: what suits a text, and what each step gets."""

from __future__ import annotations

import math

from chargen.options import Recipe, TrainConfig
from chargen.training.extent import Extent


def suited_dropout(extent: Extent, recipe: Recipe) -> dict[str, float]:
    """Dropout that grows with the passes: the shorter the text, the faster.

    It grows faster for a large vocabulary, whose rare characters are soon memorised. A short text
    with a large vocabulary is memorised within a pass or two: it gets a high share from the start.
    """
    large, characters = extent.is_large(recipe), max(1, extent.characters)
    if large and characters < recipe.short_text:
        halvings = math.log2(recipe.short_dropout_characters / characters)
        share = recipe.short_dropout + recipe.short_dropout_halving * halvings
        return {"dropout": round(min(recipe.short_dropout_limit, share), 2)}
    halvings = math.log2(recipe.growth_characters / characters)
    growth = recipe.growth[large] + recipe.growth_halving[large] * halvings
    return {"dropout_growth": round(max(0.0, growth), 3)}


def dropout_share(passes: float, config: TrainConfig, recipe: Recipe) -> float:
    """The share dropped after so many passes over the text: it rises with their logarithm.

    A new text needs no dropout, which only slows learning down; the more often it has been read,
    the more of it is memorised. The share depends on what has been read, not on the budget, so
    that a run by the clock can be repeated by its number of steps.
    """
    grown = config.dropout + config.dropout_growth * math.log2(1 + passes)
    return max(config.dropout, min(recipe.growth_limit, grown))
