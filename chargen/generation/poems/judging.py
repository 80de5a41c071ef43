"""Whether a finished poem is as its form asks: its verses are read again, each as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from chargen.generation.poems.parallel import is_parallel
from chargen.generation.poems.pronunciation import Reading
from chargen.generation.poems.tones import EITHER, fits

if TYPE_CHECKING:
    from chargen.generation.poems.hearing import Ear
    from chargen.generation.poems.poet import Task

Heard = Sequence[frozenset[Reading]]
"""The readings that each character of a verse can be heard in."""


def lines_heard(heard: Heard, lines: Iterable[str]) -> list[str]:
    """Return the lines whose tones a verse has."""
    return [line for line in lines if all(map(_may_stand, heard, line))]


def rhymes_heard(heard: Heard, lines: Iterable[str]) -> frozenset[str]:
    """Return the rhyme groups of a verse that has the tones of one of ``lines``."""
    return frozenset(
        reading.rhyme
        for line in lines
        for reading in heard[-1]
        if reading.rhyme and fits(reading.tone, line[-1])
    )


def holds(verses: Sequence[str], task: Task) -> bool:
    """Return whether the verses of a poem keep tones, rhyme and parallelism."""
    for n in task.form.parallel:
        if not is_parallel(verses[n - 1], verses[n]):
            return False
    return task.ear is None or _sounds(verses, task, task.ear)


def _sounds(verses: Sequence[str], task: Task, ear: Ear) -> bool:
    heard = [ear.heard(verse) for verse in verses]
    rhyming = task.form.rhyming
    ends = {verses[n][-1] for n in rhyming}
    for way in task.ways:
        lines = [lines_heard(each, variants) for each, variants in zip(heard, way, strict=True)]
        shared = [rhymes_heard(heard[n], lines[n]) for n in rhyming]
        if all(lines) and len(ends) == len(rhyming) and _have_one_in_common(shared):
            return True
    return False


def _may_stand(found: Collection[Reading], mark: str) -> bool:
    return mark == EITHER or any(fits(reading.tone, mark) for reading in found)


def _have_one_in_common(groups: Sequence[frozenset[str]]) -> bool:
    return not groups or bool(frozenset.intersection(*groups))
