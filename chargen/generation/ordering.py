"""Results in the order in which they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chargen.generation.ranking import best_results
from chargen.generation.requests import Request, Result

if TYPE_CHECKING:
    from chargen.generation.engine import Engine

_MOST_WAITING = 4096
"""Texts that may be begun before one of them is given."""


def in_order(
    engine: Engine, requests: Iterator[Request], typical_bits: float | None
) -> Iterator[Result]:
    """The results of requests, in their order; a text that is slow holds up the others' begin."""
    done: dict[int, Result] = {}
    given = 0

    def asked() -> Iterator[Request | None]:
        for n, request in enumerate(requests):
            while n - given >= _MOST_WAITING:
                yield None
            yield request

    for result in best_results(engine, asked(), typical_bits):
        done[result.index] = result
        while given in done:
            yield done.pop(given)
            given += 1
