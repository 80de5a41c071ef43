"""Records in batches: those of similar length side by side, in a new order each pass."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.record_split import RecordSplit


class RecordBatches:
    """The batches of a pass, each a function of (seed, step) alone.

    Records are sorted by length and cut into batches, so that little is padded; their number is
    the same in each pass. Which of the equally long records come together, and the order of the
    batches, are drawn anew for each pass.

    Attributes:
        steps_per_epoch: batches of a pass.

    Args:
        split: the records.
        pieces: T·B, positions that a batch may have, padding included; a longer record is alone.
        seed: of the orders.
    """

    def __init__(self, split: RecordSplit, pieces: int, seed: int) -> None:
        self._seed = seed
        lengths = [split.lengths(side) for side in range(split.sides)]
        self._lengths = np.stack(lengths)  # (sides, n)
        self._cuts = _cuts(self._lengths[:, self._sorted(np.arange(len(split)))], pieces)
        self._epoch, self._order, self._batches = -1, np.empty(0, np.int64), np.empty(0, np.int64)

    @property
    def steps_per_epoch(self) -> int:
        return len(self._cuts) - 1

    def records(self, step: int) -> NDArray[np.int64]:
        """The numbers of the records of a step, (B,)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            draw = np.random.default_rng((self._seed, epoch))
            self._order = self._sorted(draw.permutation(self._lengths.shape[1]))
            self._batches, self._epoch = draw.permutation(self.steps_per_epoch), epoch
        batch = self._batches[place]
        return self._order[self._cuts[batch] : self._cuts[batch + 1]]

    def _sorted(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        """Records by the lengths of their sides; equally long ones stay in order."""
        return records[np.lexsort(self._lengths[::-1, records])]


def by_length(lengths: NDArray[np.int64], pieces: int) -> Iterator[NDArray[np.int64]]:
    """Yield batches of records of similar length, (B,) each.

    Args:
        lengths: of the sides of the records, (sides, n).
        pieces: positions that a batch may have, padding included; a longer record is alone.
    """
    if not lengths.size:
        return
    order = np.lexsort(lengths[::-1])
    for first, end in pairwise(_cuts(lengths[:, order], pieces).tolist()):
        yield order[first:end]


def _cuts(lengths: NDArray[np.int64], pieces: int) -> NDArray[np.int64]:
    """Where batches begin among sorted records, whose sides are (sides, n) long, and the end."""
    cuts, widest = [0], np.zeros(len(lengths), np.int64)
    for n, length in enumerate(lengths.T):
        wider = np.maximum(widest, length)
        if n > cuts[-1] and int(wider.sum()) * (n + 1 - cuts[-1]) > pieces:
            cuts.append(n)
            wider = length
        widest = wider
    return np.array([*cuts, lengths.shape[1]])


def beginnings(
    split: RecordSplit, records: NDArray[np.int64], newline_id: int, side: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What is read of some records, which nothing is predicted of: a newline and the characters.

    Returns:
        Ids (T, B), without the end pieces, and lengths (B,), as ``padded``.
    """
    pieces, lengths = padded(split, records, side)
    ids = np.concatenate([np.full((1, len(records)), newline_id), pieces[:-1]])
    ids[np.arange(len(ids))[:, None] >= lengths] = 0  # the end pieces of shorter texts
    return ids, lengths


def padded(
    split: RecordSplit, records: NDArray[np.int64], side: int | NDArray[np.int64] = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pieces of some records side by side.

    Args:
        split: where they are.
        records: their numbers, (B,).
        side: which text of each, the same of all or (B,).

    Returns:
        Ids (T, B), the end piece as each text's last, and the padding 0; and lengths (B,).
    """
    texts = records * split.sides + side
    last = split.ends[texts]
    lengths = last - np.where(texts > 0, split.ends[texts - 1], -1)
    steps = np.arange(int(lengths.max()))[:, None]
    inside = steps < lengths
    places = np.where(inside, last - lengths + 1 + steps, 0)
    tokens: NDArray[np.integer[Any]] = split.tokens
    return np.where(inside, tokens[places], 0).astype(np.int64), lengths


def framed(
    split: RecordSplit, records: NDArray[np.int64], first: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pieces of some records side by side, each between two others.

    Returns:
        Ids (n + 2, B), the piece ``first`` before each text and the end piece after it, and the
        padding 0; and lengths (B,) without these.
    """
    ids, lengths = padded(split, records)
    return np.concatenate([np.full((1, len(records)), first), ids]), lengths - 1
