"""Counts of texts that are read one by one, each from its beginning.

Such texts are joined into one stream, each after as many newlines as a context has pieces. So no
context reaches into the text before, and the first pieces of a text are counted as they occur. The
newlines are counted too; nothing is ever predicted there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.automaton import spread
from chargen.ngrams.counting import Ids, most_counted
from chargen.ngrams.model import KneserNey, count
from chargen.ngrams.pruning import choose_drop
from chargen.ngrams.texts import leave_one_out, score

_BLOCK = 1 << 20
"""Pieces of texts whose probabilities are in memory in double precision."""


def joined(
    tokens: Ids,
    starts: NDArray[np.integer[Any]],
    lengths: NDArray[np.integer[Any]],
    order: int,
    newline: int,
) -> tuple[Ids, NDArray[np.int64]]:
    """Join texts into a stream, each after ``order`` − 1 newlines.

    Args:
        tokens: (N,) where the texts are.
        starts: (n,) where each begins.
        lengths: (n,) the pieces of each.
        order: of the model that the stream is for.
        newline: the piece.

    Returns:
        The stream, and where it has the pieces of the texts, one after another, (Σ lengths,).
    """
    begins = np.cumsum(lengths + (order - 1)) - lengths
    stream = np.full(int(lengths.sum()) + len(lengths) * (order - 1), newline, tokens.dtype)
    _, places = spread(begins, lengths)
    stream[places] = tokens[spread(starts, lengths)[1]]
    return stream, places


def beginning(model: KneserNey) -> int:
    """The state, one of ``model.tables``, after all but one of the newlines before a text."""
    state = model.initial_state(1)
    for _ in range(model.order - 2):
        state = model.advance(state, np.array([model.newline]))
    return int(model.tables.states(state)[0])


def preceded(model: KneserNey, ids: Ids, *, record: bool) -> tuple[Ids, int]:
    """Return a text after all but one of the newlines before it, and how many these are.

    Before a record there are n − 1, as in ``joined``; before any other text there is one.
    """
    if not record or model.order <= 2:
        return ids, 0
    count = model.order - 2
    return np.concatenate([np.full(count, model.newline, ids.dtype), ids]), count


class CountedTexts:
    """P_n of each piece of texts, without what its own position contributed to the counts.

    Of very many texts, every k-th is counted; the others contributed nothing.

    Args:
        tokens: (N,) where the texts are.
        starts: (n,) where each begins.
        lengths: (n,) the pieces of each.
        size: |V|.
        order: n ≥ 1.
        newline: the piece.
        ahead: pieces of texts whose probabilities are all computed at once; those of more are
            computed when they are asked for.

    Attributes:
        whole: the counts.
        drop_from: the length from which on n-grams with a count of 1 are dropped.
    """

    def __init__(
        self,
        tokens: Ids,
        starts: NDArray[np.integer[Any]],
        lengths: NDArray[np.integer[Any]],
        size: int,
        order: int,
        newline: int,
        ahead: int,
    ) -> None:
        self._tokens, self._starts, self._lengths = tokens, starts, lengths
        total = int(lengths.sum()) + len(lengths) * (order - 1)
        self._each = max(1, -(-total // most_counted(size)))
        counted = np.arange(0, len(lengths), self._each)
        stream, _ = joined(tokens, starts[counted], lengths[counted], order, newline)
        self.whole = count(stream, size, order, newline)
        self.drop_from = choose_drop(self.whole, stream)
        self._every: NDArray[np.float32] | None = None
        self._firsts = np.cumsum(lengths) - lengths
        if lengths.sum() <= ahead:
            blocks = np.flatnonzero(np.diff(self._firsts // _BLOCK, prepend=-1))
            parts = np.split(np.arange(len(lengths)), blocks[1:])
            self._every = np.concatenate([self._computed(part) for part in parts])

    def of(self, texts: NDArray[np.int64]) -> NDArray[np.float32]:
        """The probabilities of some texts' pieces side by side, (T, B); 1 beyond their ends."""
        lengths = self._lengths[texts]
        inside = np.arange(int(lengths.max())) < lengths[:, None]
        found = np.ones(inside.shape, np.float32)
        if self._every is None:
            found[inside] = self._computed(texts)
        else:
            found[inside] = self._every[spread(self._firsts[texts], lengths)[1]]
        return np.ascontiguousarray(found.T)

    def _computed(self, texts: NDArray[np.int64]) -> NDArray[np.float32]:
        """The probabilities of some texts' pieces, one text after another."""
        counted = texts % self._each == 0
        mine = np.repeat(counted, self._lengths[texts])
        found = np.empty(len(mine), np.float32)
        for own, some in ((True, texts[counted]), (False, texts[~counted])):
            if not len(some):
                continue
            given = self._tokens, self._starts[some], self._lengths[some]
            stream, places = joined(*given, self.whole.order, self.whole.newline)
            if own:
                p = leave_one_out(self.whole, stream, drop_from=self.drop_from)
            else:
                p = score(self.whole, stream)
            found[mine == own] = p[places]
        return found
