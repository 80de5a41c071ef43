"""What chance alone would give: properties of a text in another order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COUNT = 19
"""Orders that are tried; a correlation above all of them has a chance of one in twenty."""
_MEAN_BLOCK = 100


def shuffled_orders(length: int, count: int = COUNT, seed: int = 0) -> NDArray[np.int32]:
    """Return orders of ``length`` characters in which blocks have changed places, (count, length).

    A property in such an order keeps its course within a block, such as the rise along a line, but
    has nothing to do with the text any more. Blocks have random lengths, about a hundred
    characters, so that a rhythm as regular as that of verse doesn't fall into step with itself. As
    the stationary bootstrap of Politis and Romano, JASA 1994, but each character occurs once.
    """
    random = np.random.default_rng(seed)
    orders = np.empty((count, length), np.int32)
    for order in orders:
        cuts = np.flatnonzero(random.random(max(0, length - 1)) < 1 / _MEAN_BLOCK) + 1
        blocks = np.split(np.arange(length, dtype=np.int32), cuts)
        order[:] = np.concatenate([blocks[n] for n in random.permutation(len(blocks))])
    return orders
