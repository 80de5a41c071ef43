"""The contexts of a Kneser-Ney model as an automaton whose states have whole distributions.

A state is the longest context of a text that is known and has continuations; state 0 is the empty
context. Some states have a dense row: a probability and a next state for every piece. The others
refer to the dense row of one of their suffixes, and list what differs.

Source: Aho and Corasick, "Efficient string matching: an aid to bibliographic search", 1975.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.discounts import discount
from chargen.ngrams.trie import Entries, Trie

_TABLE = 1 << 24
"""Numbers in a table of dense rows, at most: 64 MiB."""
_FEWEST = 2
"""Continuations of a state that has a dense row, at least."""
_ALIGNED = 64
"""The width of a row is a multiple of this."""
_FILLED = 1 << 20
"""Numbers of dense rows that are filled at once."""


def state_dtype(order: int) -> np.dtype[np.void]:
    """Return the type of a state of a model of order n.

    Its fields: the slot of a dense row, what the row's probabilities are multiplied by, and for
    each length 1 to n − 1 the terms of the context of that length: number of the first, how many,
    and what their values are multiplied by.
    """
    lengths = (max(order - 1, 1),)
    return np.dtype(
        [
            ("slot", np.int32),
            ("factor", np.float32),
            ("first", np.int32, lengths),
            ("length", np.int32, lengths),
            ("weight", np.float32, lengths),
        ]
    )


def spread(first: NDArray[np.integer], length: NDArray[np.integer]) -> tuple[Entries, Entries]:
    """Write out ranges: for each element, the number of its range, and the element."""
    of = np.repeat(np.arange(len(length)), length)
    return of, np.arange(len(of)) + (first + length - length.cumsum()).take(of)


@dataclass(frozen=True, eq=False)
class Automaton:
    """The tables.

    Attributes:
        number: (nodes + 1,) the state of each node of the trie; 0 where it has no continuations.
        states: (S,) of ``state_dtype``.
        pieces: (terms,) the piece of each term. Terms of several contexts may be of one piece.
        values: (terms,) float32, what is added to the piece's probability, times a weight.
        after: (terms,) the state after the piece; 0: that of a shorter context's term, or the
            dense row's.
        dense: (slots, |V'|) float32; row 0 is P_1. Numbers beyond |V| are 1.
        after_dense: (slots, |V'|) int32, the state after each piece.
    """

    number: NDArray[np.int32]
    states: NDArray[np.void]
    pieces: NDArray[np.unsignedinteger]
    values: NDArray[np.float32]
    after: NDArray[np.int32]
    dense: NDArray[np.float32]
    after_dense: NDArray[np.int32]


class Builder:
    """Builds the automaton of a trie, level by level.

    Args:
        trie: the n-grams.
        discounts: (n, 4).
        masses: (nodes + 1,).

    Attributes:
        width: |V'| > |V|, numbers in a dense row.
    """

    def __init__(
        self, trie: Trie, discounts: NDArray[np.float64], masses: NDArray[np.float64]
    ) -> None:
        self._trie = trie
        self.width = trie.size // _ALIGNED * _ALIGNED + _ALIGNED
        continuations = trie.continuation_numbers()
        self._nodes = nodes = np.flatnonzero(continuations)
        self._number = np.zeros(trie.nodes + 1, np.int32)  # the last for -1
        self._number[nodes] = np.arange(1, len(nodes) + 1)
        self._own = np.append(0, continuations[nodes])
        self._begins = np.append(0, (np.cumsum(continuations) - continuations)[nodes])
        totals = np.maximum(trie.totals, 1)
        self._backoff = np.append(1, masses[nodes] / totals[nodes]).astype(np.float32)
        self._pieces = trie.last_pieces()
        self._alphas = np.zeros(len(self._pieces), np.float32)
        for k in range(2, trie.order + 1):
            counts, before = trie.counts[trie.level(k)], trie.level(k - 1)
            of = np.repeat(totals[before], continuations[before])
            level = slice(trie.level(k).start - trie.size, trie.level(k).stop - trie.size)
            self._alphas[level] = (counts - discount(counts, discounts[k - 1])) / of
        longer = self._number[trie.size : trie.nodes]
        self._after = np.pad(longer, (0, len(self._pieces) - len(longer)))
        bounds = 1 + np.searchsorted(nodes, trie.levels[:-1])
        self._levels = [slice(int(a), int(b)) for a, b in pairwise(bounds)]
        self._suffix = self._find_suffixes()

    def build(self, unigrams: NDArray[np.float64]) -> Automaton:
        """Build the automaton; ``unigrams`` (|V|,) are P_1."""
        states = np.zeros(len(self._own), state_dtype(self._trie.order))
        dense = self._choose_dense()
        own_slot = dense.cumsum(dtype=np.int32) - 1
        states["factor"][0] = 1
        for n, level in enumerate(self._levels):
            some = states[self._suffix[level]]
            some["factor"] *= self._backoff[level]
            some["weight"] *= self._backoff[level][:, None]
            some["first"][:, n], some["length"][:, n] = self._begins[level], self._own[level]
            some["weight"][:, n] = 1
            full = dense[level]
            some["slot"][full], some["factor"][full] = own_slot[level][full], 1
            some["length"][full] = 0
            states[level] = some
        rows = self._write_dense(states, np.flatnonzero(dense)[1:], unigrams)
        return Automaton(self._number, states, self._pieces, self._alphas, self._after, *rows)

    def _find_suffixes(self) -> NDArray[np.int32]:
        """Return the longest suffix of each state that is a state."""
        trie, suffix = self._trie, np.zeros(len(self._own), np.int32)
        for level in self._levels[1:]:
            parents, pieces = np.divmod(
                trie.keys[self._nodes[level.start - 1 : level.stop - 1] - trie.size], trie.size
            )
            shorter = suffix[self._number[parents]]
            left = np.arange(level.start, level.stop)
            while len(left):
                nodes = self._nodes[shorter - 1]  # of state 0 anything
                known = trie.child(nodes, pieces)
                found = np.where(shorter > 0, self._number_of(known), self._number[pieces])
                suffix[left] = found
                again = (found == 0) & (shorter > 0)
                left, pieces, shorter = left[again], pieces[again], suffix[shorter[again]]
        return suffix

    def _number_of(self, entries: Entries) -> NDArray[np.int32]:
        """Return the states of entries, 0 for those that are none."""
        return self._number.take(np.where(entries < self._trie.nodes, entries, -1))

    def _choose_dense(self) -> NDArray[np.bool_]:
        """Choose the states with dense rows: the empty one, and those with most continuations."""
        slots = max(_TABLE // self.width - 1, 0)
        numbers = np.bincount(self._own, minlength=_FEWEST)
        as_long = np.append(numbers[::-1].cumsum()[::-1], 0)
        dense = self._own >= _FEWEST + int(np.argmax(as_long[_FEWEST:] <= slots))
        dense[0] = True
        for level in self._levels:  # only where the suffix has one
            dense[level] &= dense[self._suffix[level]]
        return dense

    def _write_dense(
        self, states: NDArray[np.void], full: Entries, unigrams: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Write the dense rows of the empty state and of the states ``full``."""
        size, step = self._trie.size, max(_FILLED // self.width, 1)
        dense = np.ones((len(full) + 1, self.width), np.float32)
        after = np.zeros(dense.shape, np.int32)
        dense[0, :size], after[0, :size] = unigrams, self._number[:size]
        for level in self._levels:
            start, end = np.searchsorted(full, [level.start, level.stop])
            for first in range(start, end, step):
                some = full[first : min(first + step, end)]
                slots, shorter = states["slot"][some], states["slot"][self._suffix[some]]
                rows = slice(int(slots[0]), int(slots[-1]) + 1)
                np.multiply(dense[shorter], self._backoff[some][:, None], out=dense[rows])
                dense[rows, size:] = 1
                after[rows] = after[shorter]
                of, source = spread(self._begins[some], self._own[some])
                pieces, known = self._pieces[source], self._after[source] > 0
                dense[slots[of], pieces] += self._alphas[source]
                after[slots[of[known]], pieces[known]] = self._after[source[known]]
        return dense, after
