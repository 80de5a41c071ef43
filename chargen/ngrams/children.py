"""Entries of pieces after nodes, found in constant time."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.trie import Entries, Trie

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: Knuth, The Art of Computer Programming, volume 3, section 6.4."""
_SINGLY = 4
"""Up to so many texts are looked up one by one."""


class Children:
    """A hash table of the keys of a trie: what ``Trie.child`` does, faster for a few hundred.

    The keys are sorted by bucket. All keys that a bucket may have are compared at once.
    """

    def __init__(self, trie: Trie) -> None:
        self._trie = trie
        self._sorted = trie.keys.data
        keys = trie.keys[:-1]
        bits = max(len(keys).bit_length(), 1)
        self._shift = np.uint64(64 - bits)
        buckets = self._buckets(keys)
        sizes = np.bincount(buckets, minlength=1 << bits)
        self._starts = (np.cumsum(sizes) - sizes).astype(np.int32)
        self._offsets = np.arange(max(int(sizes.max()), 1), dtype=np.int32)
        order = np.argsort(buckets, kind="stable")
        beyond = np.full(len(self._offsets), -1)  # read after the last bucket, and never equal
        self._keys = np.concatenate([keys[order], beyond])
        self._entries = np.concatenate([order + trie.size, beyond]).astype(np.int32)

    def __call__(self, nodes: Entries, pieces: NDArray[np.integer[Any]]) -> Entries:
        """Return the entry of a piece (B,) after each of its nodes (B, N), -1 for none: (B, N)."""
        if len(nodes) <= _SINGLY:
            pairs = zip(nodes.tolist(), pieces.tolist(), strict=True)
            return np.array([[self._find(node, piece) for node in row] for row, piece in pairs])
        wanted = nodes * self._trie.size + pieces[:, None]
        at = self._starts.take(self._buckets(wanted))[..., None] + self._offsets
        equal = self._keys.take(at) == wanted[..., None]
        found: Entries = np.where(equal, self._entries.take(at), -1).max(-1)
        return found

    def _find(self, node: int, piece: int) -> int:
        if node < 0:
            return -1
        wanted = node * self._trie.size + piece
        at = bisect_left(self._sorted, wanted)
        return at + self._trie.size if self._sorted[at] == wanted else -1

    def _buckets(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return (keys.view(np.uint64) * _FACTOR >> self._shift).view(np.int64)
