"""How threads wait for each other: spinning on a free machine, sleeping on a busy one.

Where another program wants the core too, a thread that spins takes it from the very thread that
it waits for, and a step takes ten times as long or more. A thread that sleeps takes twice as long
to answer. tests/benchmarks/README.md has the figures.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
VARIABLE = "GOMP_SPINCOUNT"
"""Of the environment: how often a thread of libgomp looks before it sleeps."""
_SPINS_IF_FREE, _SPINS_IF_BUSY = "10000", "0"
_BUSY_CORES = 0.5


class OtherPrograms:
    """Measures, from when it is made, how many cores other programs keep busy."""

    def __init__(self) -> None:
        self._began = self._others(), time.monotonic()

    def choose_waiting(self) -> str:
        """Choose how threads wait, unless the user has; return the value of ``VARIABLE``.

        libgomp reads it when torch is loaded.
        """
        busy = self.cores() > _BUSY_CORES
        return os.environ.setdefault(VARIABLE, _SPINS_IF_BUSY if busy else _SPINS_IF_FREE)

    def cores(self) -> float:
        """Cores that other programs have kept busy since then; 0 where the system doesn't say."""
        used, began = self._began
        return (self._others() - used) / max(time.monotonic() - began, 1e-3)

    @staticmethod
    def _others() -> float:
        """Seconds in which this process's cores were neither idle nor its own."""
        try:
            lines = [line.split() for line in _STAT.read_text().splitlines()]
        except OSError:
            return 0.0
        ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        # user, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen
        ticks = sum(
            sum(map(int, fields[:3] + fields[5:8])) for name, *fields in lines if name in ours
        )
        return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()
