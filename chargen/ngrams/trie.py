"""The n-grams of a text as a trie that is walked forward, in a few flat arrays.

An entry is an n-gram. Entries 0 to |V| − 1 are the single pieces; the n-grams of length 2 follow,
then those of length 3, and so on, each length in lexicographic order. An entry is also a node: the
context that its pieces make. The continuations of a node, the entries one piece longer, are
neighbours. -1 means "unseen", for entries and nodes alike; as an index it is the last element of an
array, so every array ends in the value that holds for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.counting import Grams, Ids, continuations, inside
from chargen.ngrams.keys import digit_bits, last_digits, prefixes

Entries: TypeAlias = NDArray[np.int64]
"""Numbers of entries or nodes; -1: unseen."""

NO_KEY = np.iinfo(np.int64).max
_BLOCK = 1 << 22
"""Entries that are computed at once."""
_MANY = 4096
"""From so many look-ups on, sorting them first makes them faster."""


@dataclass(frozen=True, eq=False)
class Trie:
    """n-grams of length 1 to n.

    Attributes:
        size: |V|.
        levels: (n + 1,) the n-grams of length k are the entries ``levels[k - 1]`` to
            ``levels[k]`` − 1; so ``levels[n - 1]`` is the number of nodes.
        keys: (entries − |V| + 1,) increasing, of the entries longer than 1: node · |V| + piece;
            the last is larger than any.
        counts: (entries + 1,) of each entry; the last is 0.
        totals: (nodes + 1,) summed counts of each node's continuations, dropped ones included;
            the last is 0.
    """

    size: int
    levels: NDArray[np.int64]
    keys: NDArray[np.int64]
    counts: NDArray[np.uint32]
    totals: NDArray[np.uint32]

    @property
    def order(self) -> int:
        """n, the length of the longest n-grams."""
        return len(self.levels) - 1

    @property
    def nodes(self) -> int:
        """The number of contexts, those of length 1 to n − 1."""
        return int(self.levels[-2])

    def level(self, k: int) -> slice:
        """Return where the n-grams of length ``k`` stand among all entries."""
        return slice(int(self.levels[k - 1]), int(self.levels[k]))

    def keys_of(self, k: int) -> NDArray[np.int64]:
        """Return the keys of the n-grams of length ``k`` ≥ 2."""
        return self.keys[self.levels[k - 1] - self.size : self.levels[k] - self.size]

    def child(self, nodes: Entries, pieces: Ids) -> Entries:
        """Return the entry of each piece after each node, -1 where there is none."""
        wanted = nodes * self.size + pieces
        if wanted.size < _MANY:
            at = self.keys.searchsorted(wanted)
        else:
            order = np.argsort(wanted, axis=None)
            at = np.empty(wanted.shape, np.int64)
            at.reshape(-1)[order] = self.keys.searchsorted(wanted.reshape(-1)[order])
        return np.where(self.keys[at] == wanted, at + self.size, -1)

    def continuation_sums(
        self, k: int, values: NDArray[np.integer[Any] | np.floating[Any] | np.bool_]
    ) -> NDArray[np.float64]:
        """Sum ``values`` of the n-grams of length ``k`` ≥ 2 by the context that they continue."""
        contexts, keys = self.level(k - 1), self.keys_of(k)
        sums = np.zeros(contexts.stop - contexts.start)
        for first in range(0, len(keys), _BLOCK):
            block = slice(first, first + _BLOCK)
            parents = keys[block] // self.size - contexts.start
            parents -= (start := parents[0])
            found = np.bincount(parents, values[block])
            sums[start : start + len(found)] += found
        return sums

    def continuation_numbers(self) -> NDArray[np.int64]:
        """Return how many continuations each node has, (nodes,)."""
        numbers = np.zeros(self.nodes, np.int64)
        for k in range(2, self.order + 1):
            ones = np.broadcast_to(True, len(self.keys_of(k)))
            numbers[self.level(k - 1)] = self.continuation_sums(k, ones)
        return numbers

    def last_pieces(self) -> NDArray[np.unsignedinteger[Any]]:
        """Return the last piece of each entry longer than 1."""
        dtype = np.uint16 if self.size <= 1 << 16 else np.uint32
        pieces: NDArray[np.unsignedinteger[Any]] = np.empty(len(self.keys) - 1, dtype)
        for first in range(0, len(pieces), _BLOCK):
            keys = self.keys[:-1][first : first + _BLOCK]
            pieces[first : first + _BLOCK] = keys % self.size
        return pieces


def build_trie(longest: Grams, size: int) -> Trie:
    """Build the trie of all n-grams from the counts of the longest."""
    bits = digit_bits(size)
    tables = [inside(longest, size)]
    while longest.n > 1:
        longest = continuations(longest, size)
        tables.insert(0, inside(longest, size))
    levels = np.cumsum([0, size, *(len(table.keys) for table in tables[1:])])
    counts = np.zeros(levels[-1] + 1, np.uint32)
    counts[last_digits(tables[0].keys, 1, bits) - 1] = tables[0].counts
    keys = np.empty(levels[-1] - size + 1, np.int64)
    keys[-1] = NO_KEY
    trie = Trie(size, levels, keys, counts, np.zeros(levels[-2] + 1, np.uint32))
    contexts, tables = tables[0], tables[1:]
    while tables:
        table = tables.pop(0)
        k = table.n
        _fill(trie.keys_of(k), table, contexts, size, int(levels[k - 2]))
        counts[trie.level(k)] = table.counts
        trie.totals[trie.level(k - 1)] = trie.continuation_sums(k, table.counts)
        contexts = table
    return trie


def _fill(
    keys: NDArray[np.int64], table: Grams, contexts: Grams, size: int, first_context: int
) -> None:
    """Put the keys of the n-grams of ``table``, which continue ``contexts``, into ``keys``."""
    bits = digit_bits(size)
    for first in range(0, len(keys), _BLOCK):
        block = slice(first, first + _BLOCK)
        before = prefixes(table.keys[block], table.n, bits)
        if table.n == 2:  # the contexts are single pieces: an entry each, even without a count
            parents = last_digits(before, 1, bits) - 1
        else:
            parents = first_context + np.searchsorted(contexts.keys, before)
        keys[block] = parents * size + (last_digits(table.keys[block], table.n, bits) - 1)
