"""What is known of texts that were read before, so that none is read twice."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

_CACHED_NUMBERS = 1 << 24
"""Numbers that a cache may hold."""
_BESIDES = 256
"""Numbers that would take the memory that an entry takes besides its own."""

T = TypeVar("T")


class ReadCache(Generic[T]):
    """What is known by the pieces read and the labels, the least recently used forgotten first.

    Several threads may use one.

    Args:
        numbers: how many numbers there are in what is known of a text.
    """

    def __init__(self, numbers: Callable[[T], int]) -> None:
        self._numbers = numbers
        self._known: OrderedDict[bytes, T] = OrderedDict()
        self._held = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, ids: Sequence[int], label: tuple[str, ...] = ()) -> T | None:
        """Return what is known of a text, or None."""
        key = _key(ids, label)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def keep(self, ids: Sequence[int], known: T, label: tuple[str, ...] = ()) -> None:
        """Remember what is known of a text, whatever its size."""
        key = _key(ids, label)
        with self._lock:
            if key in self._known:
                self._held -= self._size(self._known.pop(key))
            self._known[key] = known
            self._held += self._size(known)
            while self._held > _CACHED_NUMBERS and len(self._known) > 1:
                _, oldest = self._known.popitem(last=False)
                self._held -= self._size(oldest)

    def _size(self, known: T) -> int:
        return self._numbers(known) + _BESIDES


def _key(ids: Sequence[int], label: tuple[str, ...]) -> bytes:
    """A digest: the pieces themselves may take far more memory than what is known of them."""
    digest = blake2b(np.array(ids, np.int32).tobytes(), digest_size=16)
    if label:
        digest.update(json.dumps(label).encode())
    return digest.digest()
