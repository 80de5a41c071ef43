"""States after prompts that were read before, so that no prompt is read twice."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np

from chargen.generation.folded import RowState

_Key = tuple[bytes, tuple[str, ...]]
_CACHED_NUMBERS = 1 << 24
"""Numbers that the cache may hold."""


class PromptCache:
    """A state by the pieces read and the labels, the least recently used forgotten first.

    Several threads may use one.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[_Key, RowState] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._states)

    def find(self, ids: list[int], label: tuple[str, ...] = ()) -> RowState | None:
        key = _key(ids, label)
        with self._lock:
            if key in self._states:
                self._states.move_to_end(key)
            return self._states.get(key)

    def keep(self, ids: list[int], state: RowState, label: tuple[str, ...] = ()) -> None:
        room = max(1, _CACHED_NUMBERS // sum(tensor.numel() for tensor in state))
        with self._lock:
            self._states[_key(ids, label)] = state
            while len(self._states) > room:
                self._states.popitem(last=False)


def _key(ids: list[int], label: tuple[str, ...]) -> _Key:
    return np.array(ids, np.int32).tobytes(), label
