"""Count the n-grams of a text, in memory bounded by the number of distinct ones.

The counts of the longest n-grams are occurrences. Those of the shorter ones are continuation
counts N1+(· g): how many different pieces stand before g, where the beginning of the text counts as
one more. All of them follow from the table of the longest: drop the first piece of every distinct
n-gram, and count equal ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.keys import Keys, digit_bits, outside, pack, suffixes

Ids: TypeAlias = NDArray[np.integer[Any]]
"""(N,) the pieces of a text; a memory map will do."""

_BLOCK = 1 << 22
"""Positions that are sorted at once."""
_MOST_BITS = 3 << 28
"""Length of the text that is counted, at most, times the bits of a piece."""
_STRETCHES = 64
"""Parts of a longer text, evenly spaced, that are counted in its place."""


@dataclass(frozen=True, eq=False)
class Grams:
    """Distinct n-grams of one length.

    Attributes:
        n: their length.
        keys: (grams,) increasing; see ``chargen.ngrams.keys``.
        counts: (grams,) how often each occurs, or how many different pieces stand before it.
    """

    n: int
    keys: Keys
    counts: NDArray[np.uint32]


def most_counted(size: int) -> int:
    """Return how many pieces of a text are counted at most, with a vocabulary of ``size``."""
    return _MOST_BITS // digit_bits(size)


def stretches(length: int, size: int) -> list[tuple[int, int]]:
    """Return the parts (first, last + 1) of a text of ``length`` pieces that are counted.

    That is the whole text up to 115 million pieces of a vocabulary of 100, or 67 million of 3,000;
    of a longer one, 64 evenly spaced stretches that are as long together. Each stretch is counted
    like a text of its own.
    """
    most = most_counted(size)
    if length <= most:
        return [(0, length)]
    starts = (length * part // _STRETCHES for part in range(_STRETCHES))
    return [(start, start + most // _STRETCHES) for start in starts]


def pieces_before(ids: Ids, first: int, n: int, newline: int) -> NDArray[np.int64]:
    """Return the n − 1 pieces before ``ids[first]``, fewer near the beginning.

    A newline stands before the text.
    """
    start = max(first - (n - 1), 0)
    before = ids[start:first].astype(np.int64)
    return before if len(before) == n - 1 else np.insert(before, 0, newline)


def count_longest(ids: Ids, size: int, n: int, newline: int) -> Grams:
    """Count the n-grams that end at each counted position of ``ids``.

    Blocks of the text are sorted and counted one at a time; neighbouring results are merged when
    they are of similar size. Near the beginning of the text an n-gram starts with digits 0.
    """
    runs: list[Grams] = []
    for digits in _blocks(ids, size, n, newline):
        keys = pack(np.lib.stride_tricks.sliding_window_view(digits, n), digit_bits(size))
        keys.sort()
        runs.append(_count(n, keys))
        while len(runs) > 1 and len(runs[-2].keys) < 2 * len(runs[-1].keys):
            runs[-2:] = [_merge(*runs[-2:])]
    while len(runs) > 1:
        runs[-2:] = [_merge(*runs[-2:])]
    nothing = pack(np.zeros((0, n), np.uint32), digit_bits(size))
    return runs[0] if runs else _count(n, nothing)


def continuations(grams: Grams, size: int) -> Grams:
    """Count how many different pieces stand before each (n − 1)-gram."""
    keys = suffixes(grams.keys, grams.n, digit_bits(size))
    keys.sort()
    return _count(grams.n - 1, keys)


def inside(grams: Grams, size: int) -> Grams:
    """Leave out the n-grams that start before the text."""
    first = outside(grams.keys, grams.n, digit_bits(size))
    return Grams(grams.n, grams.keys[first:], grams.counts[first:])


def _blocks(ids: Ids, size: int, n: int, newline: int) -> Iterator[NDArray[np.uint32]]:
    """Yield the digits of each block, after the n − 1 digits before it."""
    for start, stop in stretches(len(ids), size):
        text = ids[start:stop]
        for first in range(0, len(text), _BLOCK):
            before = pieces_before(text, first, n, newline)
            nothing = np.zeros(n - 1 - len(before), np.uint32)
            pieces = np.concatenate([before, text[first : first + _BLOCK]])
            yield np.concatenate([nothing, (pieces + 1).astype(np.uint32)])


def _count(n: int, keys: Keys) -> Grams:
    """Count equal neighbours among sorted keys."""
    edges = _edges(keys)
    return Grams(n, keys[edges], np.diff(edges, append=len(keys)).astype(np.uint32))


def _merge(one: Grams, two: Grams) -> Grams:
    keys = np.concatenate([one.keys, two.keys])
    order = np.argsort(keys, kind="stable")  # merges two sorted runs in linear time
    keys = keys[order]
    counts = np.concatenate([one.counts, two.counts])[order]
    edges = _edges(keys)
    return Grams(one.n, keys[edges], np.add.reduceat(counts, edges, dtype=np.uint32))


def _edges(keys: Keys) -> NDArray[np.intp]:
    """Return where a new key begins among sorted ones."""
    new = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return np.flatnonzero(new)
