"""Parallel verses, in what can be checked: what is repeated in one is repeated in the other.

The second verse has no character of the first. Where a character of the first occurs again, so
does the one at the same place of the second, and nowhere else (年年 is answered by 岁岁).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from chargen.generation.poems.tones import EITHER


def is_parallel(first: str, second: str) -> bool:
    """Return whether a verse is parallel to the one before it."""
    return not set(first) & set(second) and _repeats(first) == _repeats(second)


def _repeats(verse: str) -> list[int]:
    """Return for each place of a verse where its character occurs first."""
    return [verse.index(character) for character in verse]


def forced(first: str, written: str) -> str | None:
    """Return the character that a second verse must repeat at its next place, or None."""
    before = first.index(first[len(written)])
    return written[before] if before < len(written) else None


def repeated_later(first: str, place: int) -> list[int]:
    """Return the later places of a first verse that have the character of ``place``."""
    return [n for n in range(place + 1, len(first)) if first[n] == first[place]]


def unrepeatable(
    written: str, lines: Iterable[str], *, rhymes: bool, given: Container[int]
) -> set[str]:
    """Return the characters that a first verse can't repeat at its next place.

    Args:
        written: the first verse so far.
        lines: the tones that the second verse may have.
        rhymes: whether the second verse rhymes, so that its last character is special.
        given: the places of the second verse whose characters are given.
    """
    place, chosen = len(written), list(lines)
    last = place == len(chosen[0]) - 1
    return {
        c
        for n, c in enumerate(written)
        if (last and rhymes) or n in given or place in given or not _alike(chosen, n, place)
    }


def _alike(lines: Sequence[str], a: int, b: int) -> bool:
    """Return whether one character can stand at both places of one of ``lines``."""
    return any(line[a] == line[b] or EITHER in (line[a], line[b]) for line in lines)
