"""The records of a split, mapped into memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.tokens import Tokens
from chargen.errors import CorpusError

_SOUGHT_AT_ONCE = 1 << 20


class RecordSplit:
    """The records of a split, in their order.

    Attributes:
        tokens: (pieces,) all texts one after another, an end piece after each; of a pair, the
            side that is read comes first.
        ends: (sides·n,) int64, the positions of the end pieces.
        labels: (n, K) uint16, a column a key: 0 for none, else 1 + the number of the value.
        sides: texts of a record: 2 of a pair, else 1.
    """

    def __init__(
        self,
        tokens: Tokens,
        end_id: int,
        count: int,
        sides: int = 1,
        labels: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Find the ends.

        Args:
            tokens: (pieces,), which may be a memory map; nothing is copied.
            end_id: the piece that ends a text.
            count: n, the number of records.
            sides: 1 or 2.
            labels: (n, K), or None for no keys.

        Raises:
            CorpusError: the pieces are not those of ``count`` records.
        """
        self.tokens, self.sides = tokens, sides
        self.ends = _positions(tokens, end_id)
        self.labels = np.zeros((count, 0), "<u2") if labels is None else labels
        complete = not len(tokens) or (self.ends.size and self.ends[-1] == len(tokens) - 1)
        if len(self.ends) != sides * count or len(self.labels) != count or not complete:
            raise CorpusError(
                f"A split of {count} records has {len(self.ends)} ends of texts.",
                "Prepare the corpus again.",
            )

    def __len__(self) -> int:
        return len(self.ends) // self.sides

    def __repr__(self) -> str:
        return f"<RecordSplit of {len(self):,} records, {len(self.tokens):,} pieces>"

    def side(self, n: int, side: int = 0) -> Tokens:
        """The pieces of a text of record ``n``, its end piece last, (pieces,), a view."""
        number = n * self.sides + side
        start = self.ends[number - 1] + 1 if number else 0
        return self.tokens[start : self.ends[number] + 1]

    def starts(self, side: int = 0) -> NDArray[np.int64]:
        """Where a text of each record begins in ``tokens``, (n,)."""
        return self.ends[side :: self.sides] - self.lengths(side) + 1

    def lengths(self, side: int = 0) -> NDArray[np.int64]:
        """The pieces of a text of each record, its end piece among them, (n,)."""
        return np.diff(self.ends, prepend=-1)[side :: self.sides]


def _positions(tokens: Tokens, piece: int) -> NDArray[np.int64]:
    """Where a piece occurs, (n,), found in bounded memory."""
    found = [
        np.flatnonzero(tokens[first : first + _SOUGHT_AT_ONCE] == piece) + first
        for first in range(0, len(tokens), _SOUGHT_AT_ONCE)
    ]
    return np.concatenate([np.empty(0, np.int64), *found])
