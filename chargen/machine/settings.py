"""The settings of the process for training: in force while it computes, and at no other time.

Threads, the format of float32 products and the allocator's thresholds belong to the whole process.
They are changed for a block and restored after it. A generator that needs them is advanced inside
such a block and yields outside of it, so that its reader works under the settings that were in
force before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TypeVar

from chargen.machine.allocator import MemoryKeeper
from chargen.machine.devices import cpu_threads
from chargen.machine.precision import exact_float32

T = TypeVar("T")
R = TypeVar("R")


class TrainingSettings:
    """CPU threads, float32 in full, freed memory kept: for blocks, entered as often as needed.

    Args:
        threads: CPU threads; 0: as they are.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._memory = MemoryKeeper()

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        """A block with these settings."""
        with cpu_threads(self._threads), exact_float32(), self._memory.kept():
            yield

    def close(self) -> None:
        """Return the memory that was kept between the blocks."""
        self._memory.close()


def under_training_settings(
    values: Generator[T, None, R], threads: int = 0
) -> Generator[T, None, R]:
    """Yield what ``values`` yields; its code, and no other, runs under the settings for training.

    Exceptions that are thrown in reach ``values``, and closing closes it.
    """
    with contextlib.closing(TrainingSettings(threads)) as settings:
        try:
            advance: Callable[[], T] = partial(next, values)
            while True:
                with settings.block():
                    try:
                        value = advance()
                    except StopIteration as end:
                        result: R = end.value
                        return result
                try:
                    yield value
                except GeneratorExit:
                    raise
                except BaseException as error:
                    advance = partial(values.throw, error)
                else:
                    advance = partial(next, values)
        finally:
            with settings.block():
                values.close()
