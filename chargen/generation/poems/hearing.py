"""How characters are heard, and so which of them a verse can go on with.

A verse is a string that grows. A line is what it must sound like: a string of 平, 仄 and 中, and the
rhyme groups in one of which it must end, if it rhymes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chargen.generation.poems.pronunciation import Reading, heard, phrases, readings
from chargen.generation.poems.tones import EITHER, fits

Allowed = NDArray[np.bool_]
"""(|V'|,): whether a piece is allowed. Those that an ear returns are not to be changed."""

_LONGEST_PHRASE = 7
_CACHED = 4096


@dataclass(frozen=True)
class Line:
    """What a verse, or the rest of one, must sound like.

    Attributes:
        tones: 平, 仄 or 中 for each character.
        rhymes: the rhyme groups of which the last character must have one; None: it needn't.
    """

    tones: str
    rhymes: frozenset[str] | None = None

    def __len__(self) -> int:
        return len(self.tones)

    def after(self, place: int) -> Line:
        """Return the rest of the line from a place on."""
        return Line(self.tones[place:], self.rhymes)

    def admits(self, place: int, reading: Reading) -> bool:
        """Return whether a character that is read so may stand at a place."""
        if place == len(self.tones) - 1 and self.rhymes is not None:
            return fits(reading.tone, self.tones[place]) and reading.rhyme in self.rhymes
        return fits(reading.tone, self.tones[place])


class Ear(Protocol):
    """What the forms need to know about the sound of characters."""

    def allowed(self, written: str, line: Line) -> Allowed:
        """Return the characters with which a verse that ``keeps`` a line can go on."""

    def keeps(self, written: str, line: Line) -> bool:
        """Return whether the beginning of a verse may become one that sounds like a line."""

    def heard(self, verse: str) -> tuple[frozenset[Reading], ...]:
        """Return the readings that each character of a whole verse can be heard in."""

    def sizes(self, mark: str) -> Mapping[str, int]:
        """Return the number of characters of each rhyme group that fit a place of a line."""


class AnyReading:
    """Every reading of a character that is in use counts, whatever stands beside it.

    Args:
        ids: the pieces of the Chinese characters.
        width: |V'|.
    """

    def __init__(self, ids: Mapping[str, int], width: int) -> None:
        self._ids, self._width = ids, width
        self._known = {c: frozenset(found) for c, found in readings(ids).items()}
        self._alone = lru_cache(_CACHED)(self._admitted)

    def allowed(self, written: str, line: Line) -> Allowed:
        return self._alone(line.after(len(written)))

    def keeps(self, written: str, line: Line) -> bool:
        return all(self._admits(line, n, self._known[c]) for n, c in enumerate(written))

    def heard(self, verse: str) -> tuple[frozenset[Reading], ...]:
        return tuple(self._known[c] for c in verse)

    def sizes(self, mark: str) -> Mapping[str, int]:
        return _sizes(self._known.values(), mark)

    def _admitted(self, rest: Line) -> Allowed:
        """Return the characters that the first place of a line admits."""
        admitted = (self._ids[c] for c, found in self._known.items() if self._admits(rest, 0, found))
        return _only(self._width, admitted)

    @staticmethod
    def _admits(line: Line, place: int, found: frozenset[Reading]) -> bool:
        return any(line.admits(place, reading) for reading in found)


class InContext:
    """A character is heard as pypinyin reads it in its verse.

    pypinyin cuts a verse into phrases from left to right, taking the longest phrase that it knows
    each time. What a verse can go on with respects that: a character that would be misread is left
    out, unless a phrase that fits the line begins with it.

    Args: as for ``AnyReading``.
    """

    def __init__(self, ids: Mapping[str, int], width: int) -> None:
        self._ids, self._width = ids, width
        self._known = phrases(ids, _LONGEST_PHRASE)
        self._alone = lru_cache(_CACHED)(self._admitted)
        self._after = lru_cache(_CACHED)(self._admitted_after)

    def allowed(self, written: str, line: Line) -> Allowed:
        _, begun = self._cut(written)
        return self._after(written[begun:], line.after(begun))

    def keeps(self, written: str, line: Line) -> bool:
        cut, begun = self._cut(written)
        if self._fit(cut, line):
            return True
        committed, _ = self._cut(written[:begun])
        rest = line.after(begun)
        return self._fit(committed, line) and self._may_complete(written[begun:], rest)

    def heard(self, verse: str) -> tuple[frozenset[Reading], ...]:
        return tuple(frozenset((reading,)) for reading in heard(verse))

    def sizes(self, mark: str) -> Mapping[str, int]:
        return _sizes((self._known[c] for c in self._ids), mark)

    @cached_property
    def _following(self) -> dict[str, set[str]]:
        """The characters that follow each beginning of a phrase."""
        found: dict[str, set[str]] = {}
        for phrase in self._known:
            for n in range(1, len(phrase)):
                found.setdefault(phrase[:n], set()).add(phrase[n])
        return found

    @cached_property
    def _beginning(self) -> dict[str, list[str]]:
        """The phrases of several characters, by the first one and by the first two."""
        found: dict[str, list[str]] = {}
        for phrase in self._known:
            if len(phrase) > 1:
                found.setdefault(phrase[0], []).append(phrase)
                found.setdefault(phrase[:2], []).append(phrase)
        return found

    @cached_property
    def _otherwise(self) -> dict[str, list[str]]:
        """The phrases whose first character is not read as it is alone, by that character."""
        found: dict[str, list[str]] = {}
        for phrase, read in self._known.items():
            if read[0] != self._known[phrase[0]][0]:
                found.setdefault(phrase[0], []).append(phrase)
        return found

    def _admitted(self, rest: Line) -> Allowed:
        """Return the characters that can begin a line, alone or with a phrase."""
        admitted = (
            id_
            for c, id_ in self._ids.items()
            if rest.admits(0, self._known[c][0])
            or any(self._fits_whole(phrase, rest) for phrase in self._otherwise.get(c, ()))
        )
        return _only(self._width, admitted)

    def _admitted_after(self, begun: str, rest: Line) -> Allowed:
        """Return the characters that can go on a line with phrases that are still open."""
        cut, _ = self._cut(begun)
        if self._fit(cut, rest):
            found = self._alone(rest.after(len(begun))).copy()
        else:
            found = np.zeros(self._width, bool)
        ends = (begun[n:] for n in range(len(begun)))
        for c in set().union(*(self._following.get(end, ()) for end in ends)):
            found[self._ids[c]] = self.keeps(begun + c, rest)
        return found

    def _may_complete(self, begun: str, rest: Line) -> bool:
        """Return whether a phrase that begins with ``begun`` fits a line."""
        return any(
            len(begun) < len(phrase) and phrase.startswith(begun) and self._fits_whole(phrase, rest)
            for phrase in self._beginning.get(begun[:2], ())
        )

    def _fits_whole(self, phrase: str, rest: Line) -> bool:
        return len(phrase) <= len(rest) and self._fit([phrase], rest)

    def _fit(self, cut: list[str], line: Line) -> bool:
        found = (reading for phrase in cut for reading in self._known[phrase])
        return all(line.admits(n, reading) for n, reading in enumerate(found))

    def _cut(self, written: str) -> tuple[list[str], int]:
        """Return the phrases of a verse, and the place from which more text may change them."""
        found, start, begun = [], 0, len(written)
        while start < len(written):
            end = whole = start + 1
            while end < len(written) and written[end] in self._following.get(
                written[start:end], ()
            ):
                end += 1
                if written[start:end] in self._known:
                    whole = end
            if end == len(written):
                begun = min(begun, start)
            found.append(written[start:whole])
            start = whole
        return found, begun


def _sizes(known: Iterable[Iterable[Reading]], mark: str) -> Counter[str]:
    groups = ({r.rhyme for r in found if r.rhyme and fits(r.tone, mark)} for found in known)
    return Counter(group for each in groups for group in each)


def _only(width: int, ids: Iterable[int]) -> Allowed:
    allowed = np.zeros(width, bool)
    allowed[list(ids)] = True
    return allowed
