"""How threads wait for each other: awake on a free machine, asleep on a busy one.

A thread that spins while it waits takes the core from the one that it waits for as soon as
another program wants it too, and a step then takes ten times as long and more; a thread that
sleeps takes twice as long to answer. tests/benchmarks/README.md has the figures.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_SPINS_IF_FREE, _SPINS_IF_BUSY = "10000", "0"
_BUSY_CORES = 0.5


class OtherPrograms:
    """Watches, from when it is made, how many cores other programs keep busy."""

    def __init__(self) -> None:
        self._began = self._others(), time.monotonic()

    def choose_waiting(self) -> None:
        """Tell libgomp, which reads it when torch is loaded; what the user has set stays."""
        busy = self.cores() > _BUSY_CORES
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS_IF_BUSY if busy else _SPINS_IF_FREE)

    def cores(self) -> float:
        """Cores that others have kept busy since; 0 where the system doesn't tell."""
        used, began = self._began
        return (self._others() - used) / max(time.monotonic() - began, 1e-3)

    @staticmethod
    def _others() -> float:
        """Seconds of this process's cores that were neither idle nor its own."""
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
