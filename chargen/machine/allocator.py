"""The C library's allocator: whether freed memory stays with the process.

A training step frees tensors of tens of megabytes and asks for the same again a moment later.
glibc gives such memory back to the system at once, and the system hands it out anew page by page,
each filled with zeros: at LSTM 512 some ten thousand page faults a step. glibc's settings are the
whole process's and can't be read, so what follows here replaces them; where the environment has
set them, and where the C library is another one, nothing is done.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of glibc's parameters, as in malloc.h."""
_LARGEST_MMAP_THRESHOLD = 32 << 20
"""The highest that glibc accepts; what is larger is served by the heap only where it has room."""
_ROOM = 2 * [_LARGEST_MMAP_THRESHOLD - (64 << 10)]
"""Blocks that make the heap grow by such room, without being touched."""
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_")


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside the block freed memory is kept for the next step; after it, it is given back."""
    _keep()
    try:
        yield
    finally:
        _give_back()
        if library := _glibc():
            library.malloc_trim(0)


@contextlib.contextmanager
def freed_memory_returned() -> Iterator[None]:
    """Inside ``freed_memory_kept``, a block as in a process that has set nothing."""
    _give_back()
    try:
        yield
    finally:
        _keep()


def _keep() -> None:
    _set(trim_threshold=-1, top_pad=sum(_ROOM))
    if library := _glibc():
        for block in [library.malloc(size) for size in _ROOM]:
            library.free(block)


def _give_back() -> None:
    """What glibc comes to by itself: it raises its thresholds with what is freed, to these."""
    _set(trim_threshold=2 * _LARGEST_MMAP_THRESHOLD, top_pad=128 << 10)


def _set(*, trim_threshold: int, top_pad: int) -> None:
    if library := _glibc():
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        library.mallopt(_TRIM_THRESHOLD, trim_threshold)
        library.mallopt(_TOP_PAD, top_pad)


@cache
def _glibc() -> ctypes.CDLL | None:
    """glibc, where it is the C library and the user hasn't set its allocator up already."""
    if os.name != "posix" or any(name in os.environ for name in _VARIABLES):
        return None
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return None
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
    return library
