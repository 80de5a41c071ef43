"""The C library's allocator: whether freed memory stays with the process.

A training step frees tensors of tens of megabytes and asks for as much again a moment later.
glibc returns such memory to the system at once and gets it back page by page, each filled with
zeros: at LSTM 512, some ten thousand page faults per step.

glibc's thresholds apply to the whole process, and no call reads them. So the one that matters is
found by trial before it is changed, and put back afterwards. One thing can't be put back: from
then on glibc no longer raises its thresholds by itself. Where the environment has set them, or
where the C library is not glibc, nothing is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of glibc's parameters, as in malloc.h."""
_LARGEST_MMAP_THRESHOLD = 32 << 20
"""The highest that glibc accepts; a larger block comes from the heap only where it has room."""
_SMALLEST_TRIED, _RATIO, _TRIALS = 64 << 10, 1.1, 20
"""The trial begins below glibc's first threshold, and ends within this ratio of the real one."""
_PAGES = 8 << 10
"""A block that is smaller by so much is below the threshold that another one has reached."""
_ROOM = 2 * [_LARGEST_MMAP_THRESHOLD - (64 << 10)]
"""Blocks that make the heap grow by so much without being touched."""
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_")


@dataclass(frozen=True)
class Thresholds:
    """glibc's thresholds, in bytes.

    Attributes:
        mmap: a block of this size or more gets pages of its own, which are returned with it.
        trim: free memory at the end of the heap that is returned to the system; -1: never.
        pad: what the heap grows by beyond what is asked for.
    """

    mmap: int
    trim: int
    pad: int = 128 << 10


_NEVER = -1
_KEPT = Thresholds(_LARGEST_MMAP_THRESHOLD, trim=_NEVER, pad=sum(_ROOM))
_ADAPTED = Thresholds(_LARGEST_MMAP_THRESHOLD, trim=2 * _LARGEST_MMAP_THRESHOLD)
"""What glibc arrives at by itself in a program that frees large blocks."""


class MemoryKeeper:
    """Keeps freed memory with the process in its blocks, and from one of them to the next.

    The thresholds are restored after a block, except that nothing is returned to the system before
    ``close``: the first block that anyone freed at the end of the heap would take all that is free
    there with it.
    """

    def __init__(self) -> None:
        self._glibc = _glibc()
        if self._glibc:
            self._glibc.open()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """A block in which freed memory is kept."""
        if self._glibc is None:
            yield
            return
        with self._glibc.using(_KEPT):
            self._glibc.grow_heap()
            yield

    def close(self) -> None:
        """Restore all thresholds and return free memory, unless others still keep it."""
        if self._glibc:
            self._glibc.close()
        self._glibc = None


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """A block in which freed memory is kept for the next step, and returned at its end."""
    with contextlib.closing(MemoryKeeper()) as keeper, keeper.kept():
        yield


@contextlib.contextmanager
def freed_memory_returned() -> Iterator[None]:
    """Inside ``freed_memory_kept``: a block as in a program that has set nothing."""
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
    """glibc's allocator, opened by those who change its thresholds.

    Attributes:
        in_force: the thresholds that the innermost block has set; None outside of all blocks.
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
        """Find the thresholds, unless they are changed already."""
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
        """A block with ``thresholds``."""
        before = self.in_force
        self.in_force = thresholds
        self._set(thresholds)
        try:
            yield
        finally:
            self.in_force = before
            self._set(before or replace(self._outside, trim=_NEVER))

    def grow_heap(self) -> None:
        """Give the heap room for blocks that are too large for ``_LARGEST_MMAP_THRESHOLD``."""
        self._free([self._library.malloc(size) for size in _ROOM])

    def _set(self, thresholds: Thresholds) -> None:
        self._library.mallopt(_MMAP_THRESHOLD, thresholds.mmap)
        self._library.mallopt(_TRIM_THRESHOLD, thresholds.trim)
        self._library.mallopt(_TOP_PAD, thresholds.pad)

    def _mmap_threshold(self) -> int:
        """The smallest size tried whose block gets pages of its own.

        Sizes are tried upwards: freeing such a block may raise the threshold to its size. What
        was found before comes first, so that putting it back doesn't raise it time after time.
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
        """Whether a block of this size does; those that fit between older blocks tell nothing."""
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
    """glibc, where it is the C library and the user hasn't set its allocator up already."""
    if os.name != "posix" or any(name in os.environ for name in _VARIABLES):
        return None
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    library = ctypes.CDLL(None)
    return _Glibc(library) if hasattr(library, "gnu_get_libc_version") else None
