"""How far the preparation of a corpus is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class PrepareProgress:
    """How far the preparation of a corpus is.

    Attributes:
        phase: ``hash`` (only of large texts), ``wait`` (another process prepares the same),
            ``detect``, ``count`` or ``encode``.
        done, total: bytes of the sources.
    """

    phase: str
    done: int
    total: int


class ByteCounter:
    """Adds up bytes, and reports them as the PrepareProgress of one phase after another."""

    def __init__(self, total: int, report: Callable[[PrepareProgress], None] | None) -> None:
        self.total = total
        self._report = report
        self._phase = ""
        self._done = 0

    def begin(self, phase: str) -> None:
        self._phase, self._done = phase, 0
        self.add(0)

    def add(self, byte_count: int) -> None:
        self._done = min(self._done + byte_count, self.total)
        if self._report:
            self._report(PrepareProgress(self._phase, self._done, self.total))
