"""How many texts the server takes on: counted before any work."""

from __future__ import annotations

import math

from chargen.serving.refusals import RefusedError

_NEW = 0.2
_LONGEST_WAIT = 60


class Admission:
    """Counts the texts that run and wait.

    Args:
        slots, queue: how many may run, and how many may wait.
    """

    def __init__(self, slots: int, queue: int) -> None:
        self._slots, self.capacity = slots, slots + queue
        self.taken = 0
        self._seconds = 1.0  # that a text takes, of late

    def enter(self, count: int, *, held: int = 0) -> None:
        """Take on ``count`` texts of a request that has ``held`` places already.

        Raises:
            RefusedError: 400, there is never room for so many, or 429, there is none now.
        """
        if held + count > self.capacity:
            raise RefusedError(400, f"More than {self.capacity} texts are asked for.", param="n")
        if self.taken + count > self.capacity:
            raise RefusedError(
                429,
                "The server is busy: its queue is full. Try again later.",
                code="queue_full",
                retry_after=self._wait(),
            )
        self.taken += count

    def leave(self, count: int, seconds: float | None = None) -> None:
        """Make room; ``seconds`` is how long the texts took, where they were completed."""
        self.taken -= count
        if seconds is not None:
            self._seconds += _NEW * (seconds - self._seconds)

    def _wait(self) -> int:
        """Seconds after which a text has probably ended."""
        return max(1, min(_LONGEST_WAIT, math.ceil(self._seconds / self._slots)))
