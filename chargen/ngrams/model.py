"""Interpolated modified Kneser-Ney: predict a piece from the n − 1 before it, by counting.

For a context h of length k − 1, h' the same without its first piece, and c the counts of length k:

    P_k(w | h) = [c(hw) − D(c(hw))] / c(h·) + γ(h) P_{k−1}(w | h')
    γ(h) = [D(1) N1(h·) + D(2) N2(h·) + D(3+) N3+(h·)] / c(h·)

and P_k = P_{k−1} where h was never seen; P_0 is uniform over V, so no piece has probability zero.
N_i(h·) is the number of pieces w with c(hw) = i. The counts of length n are occurrences; those of
shorter n-grams are continuation counts (see ``chargen.ngrams.counting``).

Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
TR-10-98, Harvard 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.children import Children
from chargen.ngrams.counting import Ids, count_longest
from chargen.ngrams.discounts import discount, estimate_discounts
from chargen.ngrams.rows import RowTables
from chargen.ngrams.trie import Entries, Trie, build_trie


@dataclass(frozen=True, eq=False)
class KneserNey:
    """A Kneser-Ney model of order n over |V| pieces.

    A text's state is its row of (B, n − 1) int64: the nodes of its last 1 to n − 1 pieces, -1 where
    they were never seen. Rows are independent, so they may be copied and reordered freely.

    Attributes:
        trie: the counts.
        discounts: (n, 4) D(0) = 0, D(1), D(2), D(3+) for each length.
        newline: the piece that stands before every text.
        dropped_from: length from which on n-grams of count 1 were dropped; 0: none were.
    """

    trie: Trie
    discounts: NDArray[np.float64]
    newline: int
    dropped_from: int = 0

    @property
    def size(self) -> int:
        """|V|."""
        return self.trie.size

    @property
    def order(self) -> int:
        """n: a piece is predicted from the n − 1 before it."""
        return self.trie.order

    @cached_property
    def masses(self) -> NDArray[np.float64]:
        """(nodes + 1,) c(h·) γ(h) of each node: what its continuations' counts are reduced by."""
        masses = np.zeros(self.trie.nodes + 1)
        for k in range(2, self.order + 1):
            counts, nodes = self.trie.counts[self.trie.level(k)], self.trie.level(k - 1)
            kept = counts - discount(counts, self.discounts[k - 1])
            masses[nodes] = self.trie.totals[nodes] - self.trie.continuation_sums(k, kept)
        return masses

    @cached_property
    def singletons(self) -> NDArray[np.int64]:
        """(nodes + 1,) N_1(h·) of each node: its continuations with a count of 1."""
        singletons = np.zeros(self.trie.nodes + 1, np.int64)  # the last for -1
        for k in range(2, self.order + 1):
            ones = self.trie.counts[self.trie.level(k)] == 1
            singletons[self.trie.level(k - 1)] = self.trie.continuation_sums(k, ones)
        return singletons

    @cached_property
    def unigrams(self) -> NDArray[np.float64]:
        """(|V|,) P_1."""
        counts = self.trie.counts[: self.size]
        if not counts.any():
            return np.full(self.size, 1 / self.size)
        discounts = discount(counts, self.discounts[0])
        unigrams: NDArray[np.float64]
        unigrams = (counts - discounts + discounts.sum() / self.size) / counts.sum()
        return unigrams

    def initial_state(self, batch: int) -> Entries:
        """Return the state (batch, n − 1) before any piece, the newline included."""
        return np.full((batch, self.order - 1), -1, np.int64)

    def advance(self, state: Entries, pieces: Ids) -> Entries:
        """Return the state (B, n − 1) after one more piece of each text, (B,)."""
        after = np.empty_like(state)
        if self.order > 1:
            after[:, 0] = pieces
            after[:, 1:] = self._children(state[:, :-1], np.asarray(pieces))
        return after

    def row(self, state: Entries) -> NDArray[np.float32]:
        """Return P_n(· | state), (B, |V|) float32.

        A row's bits depend on its state alone, not on the rows beside it.
        """
        return self.tables.row(self.tables.states(state))

    @cached_property
    def tables(self) -> RowTables:
        """What rows are assembled from."""
        return RowTables(self.trie, self.discounts, self.masses, self.unigrams)

    @cached_property
    def _children(self) -> Children:
        return Children(self.trie)


def count(ids: Ids, size: int, order: int, newline: int) -> KneserNey:
    """Count a text.

    Args:
        ids: (N,) its pieces; a memory map will do. Of a very long one, a part is counted: see
            ``chargen.ngrams.counting.stretches``.
        size: |V|, larger than any piece.
        order: n ≥ 1.
        newline: the piece that stands before the text, as the context of its first piece.
    """
    trie = build_trie(count_longest(ids, size, order, newline), size)
    lengths = range(1, order + 1)
    discounts = [estimate_discounts(trie.counts[trie.level(k)]) for k in lengths]
    return KneserNey(trie, np.array(discounts), newline)
