"""Make a model smaller: drop n-grams with a count of 1 where that costs almost nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chargen.ngrams.counting import Ids, stretches
from chargen.ngrams.model import KneserNey
from chargen.ngrams.texts import left_out
from chargen.ngrams.trie import NO_KEY, Trie

_SHORTEST = 3
"""The shortest n-grams that are dropped."""
_TOLERANCE = 0.002
"""Bits a piece that a smaller model may cost."""
_SAMPLES, _SAMPLE = 16, 1 << 14
"""Samples of the text by which the cost is measured, and pieces in each, at most."""


def choose_drop(model: KneserNey, ids: Ids) -> int:
    """Choose the length from which on n-grams with a count of 1 are dropped; 0: none.

    The cost of each choice, in bits a piece, is measured on the counted text itself by leaving one
    out. Of the choices within 0.002 bits of the best, the one that drops most is returned. Often a
    model without its longest singletons predicts better.

    Args:
        model: whole, as ``count`` returns it.
        ids: (N,) the text that was counted.
    """
    drops: list[int] = [0, *range(model.order, _SHORTEST - 1, -1)]
    nats = np.zeros(len(drops))
    pieces = 0
    parts = stretches(len(ids), model.size)
    for sample in range(_SAMPLES):
        start, stop = parts[sample * len(parts) // _SAMPLES]
        first, end = ((stop - start) * n // _SAMPLES for n in (sample, sample + 1))
        last = min(end, first + _SAMPLE)
        left = left_out(model, ids[start:stop], first, last, drops)
        nats -= [np.log(p).sum() for p in left]
        pieces += last - first
    allowed = nats.min() + _TOLERANCE * np.log(2) * pieces
    return [drop for n, drop in enumerate(drops) if nats[n] <= allowed][-1]


def without_singletons(model: KneserNey, drop_from: int) -> KneserNey:
    """Return the model without the n-grams of length ``drop_from`` or more with a count of 1.

    Their probability goes to the back-off, so that rows still sum to 1. One that is the context of
    an n-gram that stays keeps its place, with a count of 0.

    Args:
        model: as ``count`` returns it, or without longer ones already.
        drop_from: 2 to n; 0 drops nothing.

    Raises:
        ValueError: there is no such length.
    """
    if not drop_from or 0 < model.dropped_from <= drop_from:
        return model
    if not 2 <= drop_from <= model.order:
        raise ValueError(f"can't drop n-grams of length {drop_from} or more")
    trie, size = model.trie, model.size
    counts = trie.counts.copy()
    longer = counts[trie.levels[drop_from - 1] : -1]
    longer[longer == 1] = 0
    kept = counts[:-1] > 0
    kept[: trie.levels[drop_from - 1]] = True
    for k in range(model.order, 2, -1):
        stays = kept[trie.level(k)]
        kept[trie.keys_of(k)[stays] // size] = True
    place = np.cumsum(kept) - 1
    contexts, pieces = np.divmod(trie.keys[:-1][kept[size:]], size)
    smaller = Trie(
        size,
        np.array([0, *(int(place[end - 1]) + 1 for end in trie.levels[1:])]),
        np.append(place[contexts] * size + pieces, NO_KEY),
        np.append(counts[:-1][kept], counts[-1:]),
        np.append(trie.totals[:-1][kept[: trie.nodes]], trie.totals[-1:]),
    )
    return replace(model, trie=smaller, dropped_from=drop_from)
