"""The classical tone patterns of regulated verse.

In a verse of five characters the second, the fourth and the last are fixed; the others are as
strict as in the handbooks (Wang Li, 诗词格律, 1962), so that neither 孤平 nor 三平尾 can arise.
中 is either tone. A verse of seven is a verse of five preceded by two characters of the opposite
tone. The four classical forms are 仄起 and 平起, each with and without a rhyme of the first verse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chargen.generation.poems.pronunciation import LEVEL, OBLIQUE

EITHER = "中"

# Verses of lower-case kinds end oblique, those of upper-case kinds level. B's second variant keeps
# a level tone next to its second character if the first is oblique (孤平拗救).
_OF_FIVE: Mapping[str, tuple[str, ...]] = {
    "a": ("中仄平平仄",),
    "A": ("中仄仄平平",),
    "b": ("中平平仄仄",),
    "B": ("平平仄仄平", "仄平平仄平"),
}
_OF_SEVEN: Mapping[str, tuple[str, ...]] = {
    "a": ("中平中仄平平仄",),
    "A": ("中平中仄仄平平",),
    "b": ("中仄中平平仄仄",),
    "B": ("中仄平平仄仄平",),
}
# Opposed within a couplet (对), alike between couplets (粘).
_SEQUENCES = ("aBbA", "bAaB")

Pattern = tuple[tuple[str, ...], ...]
"""For each verse its variants, each a string of 平, 仄 and 中."""


def patterns(verses: int, characters: int, *, first_rhyme: bool = False) -> list[Pattern]:
    """Return the patterns of a poem whose even verses end level: 仄起 and 平起.

    Args:
        verses: number of verses; the sequence of four is repeated.
        characters: characters per verse, 5 or 7.
        first_rhyme: whether the first verse ends level as well (首句入韵): it is then of the level
            kind that has the same tone at its second place.
    """
    of_length = _OF_FIVE if characters == 5 else _OF_SEVEN
    found = []
    for sequence in _SEQUENCES:
        kinds = [sequence[n % len(sequence)] for n in range(verses)]
        if first_rhyme:
            kinds[0] = kinds[0].upper()
        found.append(tuple(of_length[kind] for kind in kinds))
    return found


def answer(classes: Sequence[frozenset[str]]) -> Pattern:
    """Return the pattern of a couplet's second line: opposite to the first at the fixed places.

    Args:
        classes: the tones that each character of the first line can have.
    """
    opposite = {LEVEL: OBLIQUE, OBLIQUE: LEVEL}
    line = ""
    for n, tones in enumerate(classes):
        counts = n % 2 == 1 or n == len(classes) - 1
        line += opposite[next(iter(tones))] if counts and len(tones) == 1 else EITHER
    return ((line,),)


def fits(tone: str, mark: str) -> bool:
    """Return whether a tone, empty if it is neutral, may stand where ``mark`` is asked for."""
    return mark in (EITHER, tone)
