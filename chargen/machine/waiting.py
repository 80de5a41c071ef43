"""How threads wait for each other: they spin on an idle machine, and sleep on a busy one.

On a busy core, a spinning thread can delay the thread that it is waiting for, and a step can take
ten times as long. A sleeping thread takes twice as long to respond. The figures are in
tests/benchmarks/README.md.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
VARIABLE = "GOMP_SPINCOUNT"
"""The environment variable for the number of spins of a libgomp thread before it sleeps."""
_SPINS_IF_FREE, _SPINS_IF_BUSY = "10000", "0"
_BUSY_CORES = 0.5


class OtherPrograms:
    """Measures how many cores other programs have kept busy since its creation."""

    def __init__(self) -> None:
        self._began = self._others(), time.monotonic()

    def choose_waiting(self) -> str:
        """Set ``VARIABLE`` unless the user has set it, and return its value.

        libgomp reads it when torch is imported.
        """
        busy = self.cores() > _BUSY_CORES
        return os.environ.setdefault(VARIABLE, _SPINS_IF_BUSY if busy else _SPINS_IF_FREE)

    def cores(self) -> float:
        """Return how many cores other programs have kept busy; 0 if it isn't reported."""
        used, began = self._began
        return (self._others() - used) / max(time.monotonic() - began, 1e-3)

    @staticmethod
    def _others() -> float:
        """CPU seconds that other programs have used on this process's cores."""
        try:
            lines = [line.split() for line in _STAT.read_text().splitlines()]
        except OSError:
            return 0.0
        ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        # user, nice, system, idle, iowait, irq, softirq, steal
        ticks = sum(
            sum(map(int, fields[:3] + fields[5:8])) for name, *fields in lines if name in ours
        )
        return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()
