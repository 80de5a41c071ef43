"""Process settings for training, in force only while training code runs.

Threads, the format of float32 products and the allocator's thresholds apply to the whole process.
They are changed for a block and restored after it. A generator that needs them is advanced inside
a block and yields outside it, so that its caller's code runs under its own settings.
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
    """Process settings for training: CPU threads, full float32, freed memory kept.

    Args:
        threads: CPU threads; 0: unchanged.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._memory = MemoryKeeper()

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        """Apply the settings in a block."""
        with cpu_threads(self._threads), exact_float32(), self._memory.kept():
            yield

    def close(self) -> None:
        """Return the memory that was kept between blocks."""
        self._memory.close()


def under_training_settings(
    values: Generator[T, None, R], threads: int = 0
) -> Generator[T, None, R]:
    """Yield from ``values``, running its code, and no other, under the settings for training.

    Exceptions thrown into this generator reach ``values``, and closing it closes ``values``.
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
