"""Whole distributions for many texts at once, and their next states."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.automaton import Builder, spread
from chargen.ngrams.trie import Entries, Trie

States: TypeAlias = NDArray[np.int64]
"""(B,): the state of each text, see ``chargen.ngrams.automaton``; 0 before any piece."""


class Parts(NamedTuple):
    """What the rows of B states are made of; N terms are added, in order.

    Attributes:
        slots: (B,) the dense row of each.
        factors: (B,) what the dense row is multiplied by.
        of: (N,) the row that a term is added to, increasing.
        at: (N,) the number of the term.
        pieces: (N,) its piece.
        weights: (N,) what its value is multiplied by.
    """

    slots: NDArray[np.int32]
    factors: NDArray[np.float32]
    of: NDArray[np.int64]
    at: NDArray[np.int64]
    pieces: NDArray[np.unsignedinteger]
    weights: NDArray[np.float32]

    def rows(self, start: int, end: int) -> Parts:
        """Return what the rows ``start`` to ``end`` are made of."""
        if (start, end) == (0, len(self.slots)):
            return self
        part = slice(*self.of.searchsorted([start, end]))
        return Parts(
            self.slots[start:end],
            self.factors[start:end],
            self.of[part] - start,
            self.at[part],
            self.pieces[part],
            self.weights[part],
        )


class Record(NamedTuple):
    """What the row of one state is made of.

    Attributes:
        slot: its dense row.
        factor: what the dense row is multiplied by.
        contexts: of those that have terms, the shortest first, the number of the first term, how
            many there are, and what their values are multiplied by.
    """

    slot: int
    factor: float
    contexts: list[tuple[int, int, float]]


class RowTables:
    """Tables from which rows are assembled.

    A row is that of the longest of its contexts which has a dense row, times the back-off weights γ
    of the contexts longer still, plus terms for the continuations of these. Dense are the rows of
    the contexts with the most continuations, as many as the table holds, and P_1.

    Args:
        trie: the n-grams.
        discounts: (n, 4).
        masses: (nodes + 1,).
        unigrams: (|V|,) P_1.

    Attributes:
        width: |V'| > |V|, numbers in a row; those beyond |V| mean nothing, but are above 0, since
            the logarithm of 0 takes twenty times as long.
        dense: (slots, |V'|) float32; row 0 is P_1.
    """

    def __init__(
        self,
        trie: Trie,
        discounts: NDArray[np.float64],
        masses: NDArray[np.float64],
        unigrams: NDArray[np.float64],
    ) -> None:
        builder = Builder(trie, discounts, masses)
        self.width, self._size, tables = builder.width, trie.size, builder.build(unigrams)
        self._number = tables.number
        # The same memory twice: rows of plain numbers are taken faster than records.
        self._integers = tables.states.view(np.int32).reshape(len(tables.states), -1)
        self._floats = tables.states.view(np.float32).reshape(len(tables.states), -1)
        self._longest = (self._integers.shape[1] - 2) // 3
        self._pieces, self._values, self._after = tables.pieces, tables.values, tables.after
        self.dense, self._after_dense = tables.dense, tables.after_dense

    def states(self, contexts: Entries) -> States:
        """Return the states (B,) of texts whose contexts are the nodes (B, n − 1), -1: unseen."""
        states: States = self._number.take(contexts).max(1, initial=0).astype(np.int64)
        return states

    def row(self, states: States) -> NDArray[np.float32]:
        """Return the distributions after ``states`` (B,), as (B, |V|) float32."""
        parts = self.parts(states)
        rows: NDArray[np.float32] = self.dense.take(parts.slots, axis=0)
        rows *= parts.factors[:, None]
        self.add(rows, parts, np.ones(len(rows), np.float32))
        return rows[:, : self._size]

    def parts(self, states: States) -> Parts:
        """Return what the rows after ``states`` (B,) are made of."""
        found, longest = self._integers.take(states, axis=0), self._longest
        first, length = found[:, 2 : 2 + longest], found[:, 2 + longest : 2 + 2 * longest]
        floats = found.view(np.float32)
        of, at = spread(first.reshape(-1), length.reshape(-1))
        weights = floats[:, 2 + 2 * longest :].reshape(-1).take(of)
        of //= longest
        slots, factors = found[:, 0].copy(), floats[:, 1].copy()
        return Parts(slots, factors, of, at, self._pieces.take(at), weights)

    def add(self, rows: NDArray[np.float32], parts: Parts, scale: NDArray[np.float32]) -> None:
        """Add to rows (B, |V'|) the terms that dense rows lack, times ``scale`` (B,).

        Terms of the same piece are added in order. So the bits of a row depend on nothing beside
        it.
        """
        np.add.at(rows.reshape(-1), *self.terms(parts, scale))

    def terms(
        self, parts: Parts, scale: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return what ``add`` adds: places in the flattened rows, and values, in order."""
        values: NDArray[np.float32] = self._values.take(parts.at)
        values *= scale.take(parts.of) * parts.weights
        return parts.of * self.width + parts.pieces, values

    def after(self, parts: Parts, pieces: NDArray[np.int64]) -> States:
        """Return the states (B,) after one more piece of each text, (B,)."""
        places = parts.slots * np.int64(self.width) + pieces
        states: States = self._after_dense.reshape(-1).take(places).astype(np.int64)
        found = np.flatnonzero(parts.pieces == pieces.take(parts.of))
        if len(found):  # of several terms, the last is the longest context's
            longer = self._after.take(parts.at.take(found))
            known = longer > 0
            states[parts.of.take(found)[known]] = longer[known]
        return states

    def record(self, state: int) -> Record:
        """Return what the row of one state is made of."""
        slot, _, *numbers = self._integers[state].tolist()
        _, factor, *weights = self._floats[state].tolist()
        n = self._longest
        terms = zip(numbers[:n], numbers[n : 2 * n], weights[2 * n :], strict=True)
        return Record(slot, factor, [each for each in terms if each[1]])

    def add_row(self, row: NDArray[np.float32], record: Record, scale: np.float32) -> None:
        """Add a state's distribution, times ``scale``, to a row (|V'|,).

        The bits are those of rows made together, in less time for a single one.
        """
        row += self.dense[record.slot] * (scale * np.float32(record.factor))
        for first, length, weight in record.contexts:
            terms = slice(first, first + length)
            row[self._pieces[terms]] += self._values[terms] * (scale * np.float32(weight))

    def after_piece(self, record: Record, piece: int) -> int:
        """Return the state after one more piece."""
        for first, length, _ in reversed(record.contexts):
            pieces = self._pieces[first : first + length].tolist()
            if piece in pieces and (after := self._after.item(first + pieces.index(piece))):
                return int(after)
        return int(self._after_dense.item(record.slot, piece))
