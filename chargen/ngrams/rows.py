"""Whole distributions, and single probabilities out of them, for many contexts at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.counting import Ids
from chargen.ngrams.discounts import discount
from chargen.ngrams.trie import Entries, Trie

_TABLE = 1 << 24
"""Numbers in the table of dense rows, at most: 64 MiB."""


class RowTables:
    """Tables from which rows are assembled.

    A row is a dense row times a product of back-off weights γ, plus the discounted probabilities of
    the continuations of each longer context, times the γ of the contexts longer still. The dense
    row is P_2(· | last piece) for the pieces with the most continuations, as many as the table
    holds, and P_1 for the others.

    Args:
        trie: the n-grams.
        discounts: (n, 4).
        masses: (nodes + 1,).
        unigrams: (|V|,) P_1.
    """

    def __init__(
        self,
        trie: Trie,
        discounts: NDArray[np.float64],
        masses: NDArray[np.float64],
        unigrams: NDArray[np.float64],
    ) -> None:
        self._trie = trie
        totals = np.maximum(trie.totals, 1)
        self._backoff = np.where(trie.totals > 0, masses / totals, 1).astype(np.float32)
        self._pieces = trie.last_pieces()
        self._length = np.append(trie.continuation_numbers(), 0)  # the last for -1
        self._first = np.cumsum(self._length) - self._length
        self._alphas = np.zeros(len(trie.counts), np.float32)
        for k in range(2, trie.order + 1):
            counts = trie.counts[trie.level(k)]
            of = np.repeat(totals[trie.level(k - 1)], self._length[trie.level(k - 1)])
            self._alphas[trie.level(k)] = (counts - discount(counts, discounts[k - 1])) / of
        self._longer = self._alphas[trie.size : -1]
        self._make_dense(unigrams.astype(np.float32))

    def row(
        self,
        state: Entries,
        out: NDArray[np.float32] | None = None,
        scale: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the distributions after ``state`` (B, n − 1), as (B, |V|) float32.

        With ``scale`` (B,) each is multiplied by its number.

        Raises:
            ValueError: ``out`` isn't C-contiguous.
        """
        if out is None:
            out = np.empty((len(state), self._trie.size), np.float32)
        elif not out.flags.c_contiguous:
            raise ValueError("`out` must be C-contiguous")
        slots, base, weights = self._weights(state)
        if scale is not None:
            base, weights = base * scale, weights * scale[:, None]
        np.take(self._dense, slots, axis=0, out=out, mode="clip")
        out *= base[:, None]
        lengths = self._length[state]
        lengths[slots > 0, :1] = 0
        if total := int(lengths.sum()):
            spread = lengths.reshape(-1)
            shift = self._first[state].reshape(-1) - (np.cumsum(spread) - spread)
            at = np.repeat(shift, spread) + np.arange(total)
            values = self._longer[at] * np.repeat(weights.reshape(-1), spread)
            rows = np.repeat(np.arange(len(state)) * self._trie.size, lengths.sum(1))
            # Several contexts may add to a piece: always in the order of their lengths.
            np.add.at(out.reshape(-1), rows + self._pieces[at], values)
        return out

    def probabilities(self, state: Entries, pieces: Ids) -> NDArray[np.float32]:
        """Return the numbers of ``row(state)`` at ``pieces`` (B,), to the bit."""
        slots, base, weights = self._weights(state)
        p = self._dense[slots, pieces] * base
        entries = self._trie.child(state, np.asarray(pieces)[:, None])
        values = self._alphas[entries] * weights
        values[slots > 0, :1] = 0
        for k in range(state.shape[1]):
            p += values[:, k]
        return p

    def _weights(
        self, state: Entries
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Return each row's place in the dense table, its factor, and those of the contexts."""
        products = np.ones((len(state), state.shape[1] + 1), np.float32)
        products[:, :-1] = self._backoff[state]
        np.multiply.accumulate(products[:, ::-1], axis=1, out=products[:, ::-1])
        if state.shape[1] == 0:
            return np.zeros(len(state), np.int64), products[:, 0], products[:, 1:]
        slots = self._slot[state[:, 0]]
        return slots, np.where(slots > 0, products[:, 1], products[:, 0]), products[:, 1:]

    def _make_dense(self, unigrams: NDArray[np.float32]) -> None:
        """Fill the table: P_1, then P_2 after the pieces with the most continuations."""
        size = self._trie.size
        lengths = self._length[:size] if self._trie.order > 1 else np.zeros(0, np.int64)
        rows = min(int(np.count_nonzero(lengths)), max(_TABLE // size - 1, 0))
        chosen = np.argsort(-lengths, kind="stable")[:rows]
        self._slot = np.zeros(size + 1, np.int64)  # the last for -1
        self._slot[chosen] = np.arange(1, rows + 1)
        self._dense = np.empty((rows + 1, size), np.float32)
        self._dense[:] = unigrams
        for slot, piece in enumerate(chosen, 1):
            at = slice(self._first[piece], self._first[piece] + self._length[piece])
            self._dense[slot] *= self._backoff[piece]
            self._dense[slot, self._pieces[at]] += self._longer[at]
