"""The memory that this process has used at its peak, and how much it can have."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_INFO = Path("/proc/meminfo")
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_DENIED = re.compile("not enough memory|can't allocate memory|out of memory", re.IGNORECASE)


def peak_bytes() -> int | None:
    """Return the peak resident memory of this process, or None if it isn't reported.

    On Linux a process inherits ``ru_maxrss`` from its parent; VmHWM is its own.
    """
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(found[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def usable_bytes() -> int | None:
    """The memory that this process can still have, as far as the system says; None: it doesn't.

    That is what is free or can be made free, swap included, within the limits of the container and
    of the process.
    """
    found = []
    if _INFO.exists():
        sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", _INFO.read_text()))
        found.append(1024 * (int(sizes.get("MemAvailable", 0)) + int(sizes.get("SwapFree", 0))))
    for path in _LIMITS:
        with suppress(OSError, ValueError):  # "max": no limit
            found.append(int(path.read_text()))
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            found.append(limit)
    return min(filter(None, found), default=None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had; torch has no type for that."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and bool(_DENIED.search(str(error)))
    )


def in_words(size: float) -> str:
    """Bytes as people say them: ``57.6 GB``."""
    for unit, factor in (("EB", 1e18), ("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if size >= factor:
            return f"{size / factor:,.3g} {unit}" if size < 1e21 else f"{size / factor:.1e} {unit}"
    return f"{size / 1e6:.3g} MB"
