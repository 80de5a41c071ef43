"""n-grams as sortable keys: a whole n-gram in one 64-bit word where it fits, else in bytes.

A digit is a piece plus one; digit 0 stands before the text. Keys of n-grams of one length sort as
their digits do, the first digit first, so the n-grams that share a prefix are neighbours.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Digits: TypeAlias = NDArray[np.integer[Any]]
"""(grams, n): a row per n-gram."""
Keys: TypeAlias = NDArray[Any]
"""(grams,): uint64 where n digits fit into 64 bits, else fixed-width byte strings."""


def digit_bits(size: int) -> int:
    """The bits of a digit, 0 to |V| inclusive."""
    return size.bit_length()


def pack(digits: Digits, bits: int) -> Keys:
    """Return the keys of n-grams given as digits, (grams, n)."""
    n = digits.shape[1]
    if n * bits > 64:
        rows = np.ascontiguousarray(digits, _wide(bits))
        return rows.view(f"S{n * rows.itemsize}")[:, 0]
    keys = np.zeros(len(digits), np.uint64)
    for column in range(n):
        keys <<= np.uint64(bits)
        keys |= digits[:, column].astype(np.uint64)
    return keys


def suffixes(keys: Keys, n: int, bits: int) -> Keys:
    """Return the keys of n-grams without their first piece."""
    if n * bits > 64:
        return pack(_unpack(keys, n, bits)[:, 1:], bits)
    return keys & np.uint64((1 << (n - 1) * bits) - 1)


def prefixes(keys: Keys, n: int, bits: int) -> Keys:
    """Return the keys of n-grams without their last piece."""
    if n * bits > 64:
        return pack(_unpack(keys, n, bits)[:, :-1], bits)
    return keys >> np.uint64(bits)


def last_digits(keys: Keys, n: int, bits: int) -> NDArray[np.int64]:
    """Return the last digit of each n-gram."""
    if n * bits > 64:
        return _unpack(keys, n, bits)[:, -1].astype(np.int64)
    return (keys & np.uint64((1 << bits) - 1)).astype(np.int64)


def outside(keys: Keys, n: int, bits: int) -> int:
    """Return how many of the sorted n-grams begin before the text: they come first."""
    if n * bits > 64:
        first = np.frombuffer(bytes(keys.dtype.itemsize // n - 1) + b"\1", f"S{keys.itemsize // n}")
        return int(np.searchsorted(keys, first.astype(keys.dtype))[0])
    return int(np.searchsorted(keys, np.uint64(1 << (n - 1) * bits)))


def _wide(bits: int) -> str:
    """The big-endian type of a digit whose bytes sort as its numbers do."""
    return ">u2" if bits <= 16 else ">u4"


def _unpack(keys: Keys, n: int, bits: int) -> Digits:
    return keys.view(_wide(bits)).reshape(-1, n)
