"""Settings of the C library's allocator that keep freed memory in the process.

A training step frees tensors of tens of megabytes and allocates as much again soon after. By
default glibc returns such memory to the system at once and gets it back page by page, filled with
zeros: about ten thousand page faults per step for an LSTM of 512 units.

glibc's thresholds apply to the whole process, and can't be read. So the important one is found by
trial before it is changed, and restored afterwards. One effect can't be undone: glibc no longer
raises its thresholds by itself. Nothing is changed if the environment sets the thresholds, or if
the C library is not glibc.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of glibc's parameters, from malloc.h."""
_LARGEST_MMAP_THRESHOLD = 32 << 20
"""The highest value that glibc accepts; larger blocks come from the heap only if it has room."""
_SMALLEST_TRIED, _RATIO, _TRIALS = 64 << 10, 1.1, 20
"""Trials begin below glibc's initial threshold, and end within this ratio of the actual one."""
_PAGES = 8 << 10
"""A block smaller by this much is below a threshold that another one has just reached."""
_ROOM = 2 * [_LARGEST_MMAP_THRESHOLD - (64 << 10)]
"""Sizes of blocks that make the heap grow without being touched."""
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_")


@dataclass(frozen=True)
class Thresholds:
    """glibc's thresholds, in bytes.

    Attributes:
        mmap: blocks of this size or more get their own pages, which are returned when freed.
        trim: free memory at the end of the heap above which it is returned; -1: never.
        pad: extra memory by which the heap grows.
    """

    mmap: int
    trim: int
    pad: int = 128 << 10


_NEVER = -1
_KEPT = Thresholds(_LARGEST_MMAP_THRESHOLD, trim=_NEVER, pad=sum(_ROOM))
_ADAPTED = Thresholds(_LARGEST_MMAP_THRESHOLD, trim=2 * _LARGEST_MMAP_THRESHOLD)
"""The thresholds that glibc adopts by itself in a program that frees large blocks."""


class MemoryKeeper:
    """Keeps freed memory in the process during its blocks and between them.

    The thresholds are restored after a block, except that no heap memory is returned to the system
    before ``close``: the next block freed at the end of the heap would return all free memory
    there.
    """

    def __init__(self) -> None:
        self._glibc = _glibc()
        if self._glibc:
            self._glibc.open()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep freed memory in a block."""
        if self._glibc is None:
            yield
            return
        with self._glibc.using(_KEPT):
            self._glibc.grow_heap()
            yield

    def close(self) -> None:
        """Restore all thresholds and return free memory, unless another keeper is open."""
        if self._glibc:
            self._glibc.close()
        self._glibc = None


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory in a block, and return it at its end."""
    with contextlib.closing(MemoryKeeper()) as keeper, keeper.kept():
        yield


@contextlib.contextmanager
def freed_memory_returned() -> Iterator[None]:
    """Return freed memory in a block, as glibc does by default."""
    glibc = _glibc()
    if glibc is None:
        yield
        return
    with contextlib.closing(glibc):
        glibc.open()
        with glibc.using(_ADAPTED):
            yield
        if glibc.in_force == _KEPT:
            glibc.grow_heap()


class _Info(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


class _Glibc:
    """glibc's allocator, opened by each user of its thresholds.

    Attributes:
        in_force: the thresholds set by the innermost block; None outside all blocks.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
        if hasattr(library, "mallinfo2"):
            library.mallinfo2.restype = _Info
        self._library = library
        self._users = 0
        self._found = 0
        self._outside = _ADAPTED
        self.in_force: Thresholds | None = None

    def open(self) -> None:
        """Find the thresholds, unless they have been changed already."""
        if not self._users:
            mmap = self._mmap_threshold()
            self._outside = Thresholds(mmap, trim=2 * mmap)
        self._users += 1

    def close(self) -> None:
        """Restore the thresholds and return free memory when the last user closes."""
        self._users -= 1
        if not self._users:
            self._set(self._outside)
            self._library.malloc_trim(0)

    @contextlib.contextmanager
    def using(self, thresholds: Thresholds) -> Iterator[None]:
        """Apply ``thresholds`` in a block."""
        before = self.in_force
        self.in_force = thresholds
        self._set(thresholds)
        try:
            yield
        finally:
            self.in_force = before
            self._set(before or replace(self._outside, trim=_NEVER))

    def grow_heap(self) -> None:
        """Make room in the heap for blocks larger than ``_LARGEST_MMAP_THRESHOLD``."""
        self._free([self._library.malloc(size) for size in _ROOM])

    def _set(self, thresholds: Thresholds) -> None:
        self._library.mallopt(_MMAP_THRESHOLD, thresholds.mmap)
        self._library.mallopt(_TRIM_THRESHOLD, thresholds.trim)
        self._library.mallopt(_TOP_PAD, thresholds.pad)

    def _mmap_threshold(self) -> int:
        """Return the smallest size tried for which a block gets its own pages.

        Sizes are tried upwards, because freeing such a block may raise the threshold to its size.
        The last result is tried first, so that it isn't raised each time it is restored.
        """
        if not hasattr(self._library, "mallinfo2"):  # glibc before 2.33
            return _ADAPTED.mmap
        found = self._found
        if found and not self._gets_own_pages(found - _PAGES) and self._gets_own_pages(found):
            return found
        self._found = _SMALLEST_TRIED
        while self._found < _LARGEST_MMAP_THRESHOLD and not self._gets_own_pages(self._found):
            self._found = min(int(self._found * _RATIO), _LARGEST_MMAP_THRESHOLD)
        return self._found

    def _gets_own_pages(self, size: int) -> bool:
        """Return whether a block of this size gets its own pages; skip blocks that fill gaps."""
        before, blocks = self._library.mallinfo2(), []
        try:
            for _ in range(_TRIALS):
                blocks.append(self._library.malloc(size))
                after = self._library.mallinfo2()
                if after.hblks > before.hblks:
                    return True
                if after.arena > before.arena:  # the heap has grown instead
                    return False
        finally:
            self._free(blocks)
        return False

    def _free(self, blocks: list[int | None]) -> None:
        for block in blocks:
            self._library.free(block)


@cache
def _glibc() -> _Glibc | None:
    """glibc, unless the C library is another or the user has configured its allocator."""
    if os.name != "posix" or any(name in os.environ for name in _VARIABLES):
        return None
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    library = ctypes.CDLL(None)
    return _Glibc(library) if hasattr(library, "gnu_get_libc_version") else None
