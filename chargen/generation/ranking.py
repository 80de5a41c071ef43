"""Rank texts of one model: which of several would a reader keep?

Neither the likeliest text is best (it is made of clichés and repeats itself) nor the least likely.
A text scores by how far its bits per character are from those of real text, and by what it repeats.
tests/benchmarks/generation.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from chargen.generation.requests import Request, Result
from chargen.generation.seeds import text_seeds

if TYPE_CHECKING:
    from chargen.generation.engine import Engine

_RUN = 8
"""Characters of a run that counts as repeated."""
_REPETITION = 2.0
"""Bits per character that a text loses for repeating all of itself."""


@dataclass(frozen=True)
class Ranked:
    """A text, and why it has its rank.

    Attributes:
        result: the text.
        number: its number in the order in which the texts were drawn, from 1.
        distance: bits per character between it and real text.
        repeated: share of its runs of 8 characters that occur in it before.
    """

    result: Result
    number: int
    distance: float
    repeated: float

    @property
    def score(self) -> float:
        """What the rank is by, the lower the better."""
        return self.distance + _REPETITION * self.repeated


def rank(results: Sequence[Result], typical_bits: float | None) -> list[Ranked]:
    """Rank the texts of one prompt, the best first.

    Args:
        results: with ``bits_per_char``.
        typical_bits: bits per character of real text under the same model; None, where that isn't
            known: the mean of the results.
    """
    if typical_bits is None:
        typical_bits = fmean(each.bits_per_char or 0.0 for each in results)
    ranked = [
        Ranked(each, n, abs((each.bits_per_char or 0.0) - typical_bits), repeated_share(each.text))
        for n, each in enumerate(results, 1)
    ]
    return sorted(ranked, key=lambda each: (each.score, each.number))


def repeated_share(text: str) -> float:
    """The share of a text's runs of 8 characters that occur in it before."""
    runs = [text[n : n + _RUN] for n in range(len(text) - _RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def best_results(
    engine: Engine, requests: Iterable[Request | None], typical_bits: float | None
) -> Iterator[Result]:
    """Generate as ``Engine.generate`` does, but draw ``best_of`` texts and keep the best.

    What is drawn has the seeds of ``text_seeds``, so that the seed of a result brings it back.

    Args:
        engine: generates the texts.
        requests: as for the engine.
        typical_bits: as for ``rank``.
    """
    groups: dict[int, list[Result]] = {}
    owner: dict[int, tuple[int, Request]] = {}

    def candidates() -> Iterator[Request | None]:
        number, drawn = 0, 0
        for request in requests:
            if request is None:
                yield None
                continue
            for seed in text_seeds(request.seed, request.best_of):
                owner[drawn] = number, request
                drawn += 1
                yield replace(request, seed=seed)
            number += 1

    for result in engine.generate(candidates()):
        number, request = owner.pop(result.index)
        group = groups.setdefault(number, [])
        group.append(result)
        if len(group) == request.best_of:
            del groups[number]
            group = [each for each in group if each.problem is None] or group
            (best, *_) = rank(sorted(group, key=lambda each: each.index), typical_bits)
            bits = best.result.bits_per_char if engine.logprobs else None
            yield replace(best.result, index=number, bits_per_char=bits)
