"""How often pieces occur, alone and beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.counting import Ids

_COUNTED_AT_ONCE = 1 << 20
_NEIGHBOURS = 1 << 22
"""Pieces whose neighbours are counted, at most: the beginning of the text."""


def piece_counts(ids: Ids, size: int) -> NDArray[np.int64]:
    """Count each of ``size`` pieces, (|V|,): a part at a time, whatever the length."""
    counts: NDArray[np.int64] = np.zeros(size, np.int64)
    for first in range(0, len(ids), _COUNTED_AT_ONCE):
        counts += np.bincount(ids[first : first + _COUNTED_AT_ONCE], minlength=size)
    return counts


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Pairs of pieces that stand beside each other more often than chance would have it.

    Attributes:
        left, right: (pairs,) int64, the pieces of each pair.
        information: (pairs,) float64 > 0, positive pointwise mutual information in nats.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    information: NDArray[np.float64]


def neighbour_information(ids: Ids, size: int) -> Neighbours:
    """Measure what a piece tells about the next one.

    M[x, y] = max(0, log[(n_xy + ½) / (n_x n_y / n + ½)]), where n_xy counts "x, then y", n_x counts
    x, and n is the length of the text, of which at most the first four million pieces are read.
    Pairs with M = 0 are left out.

    Source: Levy and Goldberg, "Neural word embedding as implicit matrix factorization", NeurIPS
    2014.
    """
    text = np.asarray(ids[:_NEIGHBOURS], dtype=np.int64)
    pairs, together = np.unique(text[:-1] * size + text[1:], return_counts=True)
    x, y = np.divmod(pairs, size)
    alone = np.bincount(text, minlength=size)
    information = np.log((together + 0.5) / (alone[x] * alone[y] / len(text) + 0.5))
    informative = information > 0
    return Neighbours(x[informative], y[informative], information[informative])
