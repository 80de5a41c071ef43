"""Whole distributions for many contexts at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.discounts import discount
from chargen.ngrams.trie import Entries, Trie

_TABLE = 1 << 24
"""Numbers in the table of dense rows, at most: 64 MiB."""
_FEWEST = 2
"""Continuations of a context that has a dense row, at least."""
_ALIGNED = 64
"""The width of a row is a multiple of this."""
_FILLED = 1 << 20
"""Numbers of dense rows that are filled at once."""
_CONTEXT = np.dtype(
    [("slot", np.int32), ("first", np.int32), ("length", np.int32), ("backoff", np.float32)]
)
"""A context: the slot of its dense row, or 0 and the continuations to be added."""


class Parts(NamedTuple):
    """What B rows are made of.

    Attributes:
        slots: (B,) the dense row of each.
        factors: (B,) what the dense row is multiplied by.
        contexts: (B, n − 1) of ``_CONTEXT``: whose continuations are added.
        weights: (B, n − 1) what these are multiplied by.
    """

    slots: NDArray[np.int32]
    factors: NDArray[np.float32]
    contexts: NDArray[np.void]
    weights: NDArray[np.float32]


class RowTables:
    """Tables from which rows are assembled.

    A row is that of the longest of its contexts which has a dense row, times the back-off weights γ
    of the contexts longer still, plus the discounted probabilities of their continuations. Dense
    are the rows of the contexts with the most continuations, as many as the table holds, and P_1.

    Args:
        trie: the n-grams.
        discounts: (n, 4).
        masses: (nodes + 1,).
        unigrams: (|V|,) P_1.

    Attributes:
        width: |V'| > |V|, numbers in a row; those beyond |V| are 0.
        dense: (slots, |V'|) float32; row 0 is P_1.
    """

    def __init__(
        self,
        trie: Trie,
        discounts: NDArray[np.float64],
        masses: NDArray[np.float64],
        unigrams: NDArray[np.float64],
    ) -> None:
        self._trie = trie
        self.width = trie.size // _ALIGNED * _ALIGNED + _ALIGNED
        self._pieces = trie.last_pieces()
        self._alphas = np.zeros(len(self._pieces), np.float32)
        totals = np.maximum(trie.totals, 1)
        contexts = np.zeros(trie.nodes + 1, _CONTEXT)  # the last for -1
        contexts["backoff"] = np.where(trie.totals > 0, masses / totals, 1)
        length = contexts["length"][:-1] = trie.continuation_numbers()
        contexts["first"][:-1] = np.cumsum(length) - length
        for k in range(2, trie.order + 1):
            counts, before = trie.counts[trie.level(k)], trie.level(k - 1)
            of = np.repeat(totals[before], length[before])
            level = slice(trie.level(k).start - trie.size, trie.level(k).stop - trie.size)
            self._alphas[level] = (counts - discount(counts, discounts[k - 1])) / of
        self._contexts = contexts
        self.dense = self._make_dense(unigrams)

    def row(self, state: Entries) -> NDArray[np.float32]:
        """Return the distributions after ``state`` (B, n − 1), as (B, |V|) float32."""
        parts = self.parts(state, np.ones(len(state), np.float32))
        rows: NDArray[np.float32] = self.dense.take(parts.slots, axis=0)
        rows *= parts.factors[:, None]
        self.add_longer(rows, parts)
        return rows[:, : self._trie.size]

    def parts(self, state: Entries, scale: NDArray[np.float32]) -> Parts:
        """Return what the rows after ``state`` (B, n − 1), times ``scale`` (B,), are made of."""
        contexts = self._contexts.take(state)
        products = np.empty((len(state), state.shape[1] + 1), np.float32)
        products[:, :-1], products[:, -1] = contexts["backoff"], scale
        np.multiply.accumulate(products[:, ::-1], axis=1, out=products[:, ::-1])
        slots = contexts["slot"].max(1, initial=0)  # longer contexts have larger ones
        return Parts(slots, products[:, 0], contexts, products[:, 1:])

    def add_longer(self, rows: NDArray[np.float32], parts: Parts) -> None:
        """Add the continuations that dense rows lack to rows (B, |V'|).

        Several contexts may add to a piece: always the shortest first. So the bits of a row depend
        on nothing beside it.
        """
        places, values = self.longer(parts)
        np.add.at(rows.reshape(-1), places, values)

    def add_row(self, row: NDArray[np.float32], state: Entries, scale: np.float32) -> None:
        """Add the distribution after ``state`` (n − 1,), times ``scale``, to a row (|V'|,).

        The bits are those of ``parts`` and ``add_longer``, in less time for a single row.
        """
        slot, weight, longer = 0, scale, []
        for dense, first, length, backoff in reversed(self._contexts.take(state).tolist()):
            if length:
                longer.append((slice(first, first + length), weight))
            weight *= np.float32(backoff)
            slot = max(slot, dense)
        row += self.dense[slot] * weight
        for part, of_part in reversed(longer):
            row[self._pieces[part]] += self._alphas[part] * of_part

    def longer(self, parts: Parts) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return what ``add_longer`` adds: places in the flattened rows, and values, in order."""
        chosen = np.flatnonzero(parts.contexts["length"])
        contexts = parts.contexts.reshape(-1).take(chosen)
        length = contexts["length"]
        ends = np.cumsum(length, dtype=np.int64)
        of = np.repeat(np.arange(len(length)), length)
        at = np.arange(len(of)) + (contexts["first"] + length - ends).take(of)
        rows = chosen // max(parts.contexts.shape[1], 1) * self.width
        values = self._alphas.take(at) * parts.weights.reshape(-1).take(chosen).take(of)
        return rows.take(of) + self._pieces.take(at), values

    def _make_dense(self, unigrams: NDArray[np.float64]) -> NDArray[np.float32]:
        """Make the dense rows of the contexts with the most continuations, and of P_1."""
        trie, contexts = self._trie, self._contexts
        slots = max(_TABLE // self.width - 1, 0)
        numbers = np.bincount(contexts["length"], minlength=_FEWEST)
        as_long = np.append(numbers[::-1].cumsum()[::-1], 0)
        shortest = _FEWEST + int(np.argmax(as_long[_FEWEST:] <= slots))
        dense = np.zeros((as_long[shortest] + 1, self.width), np.float32)
        dense[0, : trie.size] = unigrams
        slot, step = 1, max(_FILLED // self.width, 1)
        for k in range(1, trie.order):
            level = contexts[trie.level(k)]
            nodes = trie.level(k).start + np.flatnonzero(level["length"] >= shortest)
            shorter = self._without_first(nodes, k)
            if k > 1:  # a context has a dense row only where the shorter one has
                known = contexts["slot"][shorter] > 0
                nodes, shorter = nodes[known], shorter[known]
            for first in range(0, len(nodes), step):
                block = slice(first, first + step)
                filled = slice(slot, slot + len(nodes[block]))
                before = dense[contexts["slot"][shorter[block]]]
                self._fill(dense[filled], nodes[block], before)
                contexts["slot"][nodes[block]] = np.arange(filled.start, filled.stop)
                slot = filled.stop
        complete = contexts["slot"] > 0
        contexts["length"][complete], contexts["backoff"][complete] = 0, 1
        return dense[:slot]

    def _fill(
        self, rows: NDArray[np.float32], nodes: Entries, shorter: NDArray[np.float32]
    ) -> None:
        """Fill the dense rows of ``nodes``, given those of their contexts one piece shorter."""
        contexts = self._contexts[nodes]
        np.multiply(shorter, contexts["backoff"][:, None], out=rows)
        length = contexts["length"]
        of = np.repeat(np.arange(len(nodes)), length)
        ends = np.cumsum(length, dtype=np.int64)
        at = np.arange(len(of)) + (contexts["first"] + length - ends)[of]
        rows[of, self._pieces[at]] += self._alphas[at]

    def _without_first(self, nodes: Entries, k: int) -> Entries:
        """Return the contexts of length ``k`` without their first piece; -1 where unknown."""
        pieces = []
        for _ in range(k - 1):
            nodes, piece = np.divmod(self._trie.keys[nodes - self._trie.size], self._trie.size)
            pieces.append(piece)
        if not pieces:
            return np.full(len(nodes), -1)
        shorter = pieces.pop()
        while pieces:
            shorter = self._trie.child(shorter, pieces.pop())
        return shorter
