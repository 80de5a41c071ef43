"""Fair timing on a noisy machine: candidates alternate, and medians are compared."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Seconds of each candidate in each round."""

    seconds: Mapping[str, tuple[float, ...]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> float:
        """Return the time of ``slow`` over that of ``fast``: the median of the rounds' ratios."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return statistics.median(a / b for a, b in pairs)


class Stopwatch:
    """A clock that runs only inside its ``running`` blocks; calling it returns the seconds."""

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None

    def __call__(self) -> float:
        now = time.perf_counter()
        return self._before + (0.0 if self._since is None else now - self._since)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._before, self._since = self(), None


def alternate(
    candidates: Mapping[str, Callable[[], object]], rounds: int, *, settle: int = 0
) -> Timings:
    """Run all candidates in turn, once to warm up and then ``rounds`` times.

    Each turn begins with ``settle`` runs that are not timed, so that the state of caches and
    allocator left by the previous candidate doesn't count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for n in range(rounds + 1):
        for name, run in candidates.items():
            for _ in range(settle):
                run()
            start = time.perf_counter()
            run()
            if n:
                seconds[name].append(time.perf_counter() - start)
    return Timings({name: tuple(values) for name, values in seconds.items()})
