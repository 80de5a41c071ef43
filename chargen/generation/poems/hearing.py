"""How characters are heard, and so which of them a verse can go on with.

A verse is a string that grows; a line is what it must sound like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chargen.generation.poems.phrases import continuations, parts
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

    def first(self, count: int) -> Line:
        """Return the beginning of the line."""
        return self if count >= len(self) else Line(self.tones[:count])

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
        rare: readings that are hardly in use count as well.
    """

    def __init__(self, ids: Mapping[str, int], width: int, *, rare: bool = False) -> None:
        self._ids, self._width = ids, width
        self._known = {c: frozenset(found) for c, found in readings(ids, rare=rare).items()}
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
        admitted = (
            self._ids[c] for c, found in self._known.items() if self._admits(rest, 0, found)
        )
        return _only(self._width, admitted)

    @staticmethod
    def _admits(line: Line, place: int, found: frozenset[Reading]) -> bool:
        return any(line.admits(place, reading) for reading in found)


class InContext:
    """A character is heard as pypinyin reads it in its verse.

    pypinyin cuts a verse into phrases from left to right, taking the longest phrase that it knows
    each time. What a verse can go on with respects that: a character that would be misread is left
    out, unless a phrase that fits the line begins with it.

    Args:
        ids, width: as for ``AnyReading``.
    """

    def __init__(self, ids: Mapping[str, int], width: int) -> None:
        self._ids, self._width = ids, width
        self._known = phrases(ids, _LONGEST_PHRASE)
        self._alone = lru_cache(_CACHED)(self._admitted)
        self._reach = lru_cache(_CACHED)(self._reach_of)
        self._kept_by_phrases = lru_cache(_CACHED)(self._kept_of)

    def allowed(self, written: str, line: Line) -> Allowed:
        if len(written) < len(line) - 1 and set(line.tones) == {EITHER}:
            return self._alone(Line(EITHER))
        _, place = self._cut(written)
        begun, rest = written[place:], line.after(place)
        cut, _ = self._cut(begun)
        starts = accumulate(map(len, cut), initial=0)
        if all(self._fits(phrase, rest, start) for phrase, start in zip(cut, starts, strict=False)):
            found = self._alone(rest.after(len(begun)))
        else:
            found = np.zeros(self._width, bool)
        if reach := self._reach(begun):
            found = found.copy()
            ids, kept = self._kept_by_phrases(begun, rest.first(reach))
            found[ids] = kept
        return found

    def keeps(self, written: str, line: Line) -> bool:
        cut, begun = self._cut(written)
        place = 0
        for phrase in cut:
            if place >= begun and self._may_complete(written[place:], line.after(place)):
                return True
            if not self._fits(phrase, line, place):
                return False
            place += len(phrase)
        return True

    def heard(self, verse: str) -> tuple[frozenset[Reading], ...]:
        return tuple(frozenset((reading,)) for reading in heard(verse))

    def sizes(self, mark: str) -> Mapping[str, int]:
        return _sizes((self._known[c] for c in self._ids), mark)

    @cached_property
    def _following(self) -> dict[str, set[str]]:
        """The characters that follow each beginning of a phrase."""
        return continuations(self._known)

    @cached_property
    def _telling(self) -> list[str]:
        """The phrases in which a character may be read otherwise than it would be without them."""
        otherwise = {
            phrase
            for phrase, read in self._known.items()
            if any(reading != self._known[c][0] for c, reading in zip(phrase, read, strict=True))
        }
        return [phrase for phrase in self._known if any(p in otherwise for p in parts(phrase))]

    @cached_property
    def _changing(self) -> dict[str, set[str]]:
        """As ``_following``, of the telling phrases."""
        return continuations(self._telling)

    @cached_property
    def _beginning(self) -> dict[str, list[str]]:
        """The telling phrases by their first character, and by their first two."""
        found: dict[str, list[str]] = {}
        for phrase in self._telling:
            found.setdefault(phrase[0], []).append(phrase)
            found.setdefault(phrase[:2], []).append(phrase)
        return found

    def _admitted(self, rest: Line) -> Allowed:
        """Return the characters that can begin a line, alone or with a phrase."""
        found = np.zeros(self._width, bool)
        for tones, by_rhyme in self._beginners.items():
            if len(tones) <= len(rest) and all(map(fits, tones, rest.tones)):
                ends = rest.rhymes if len(tones) == len(rest) else None
                for rhyme, ids in by_rhyme.items():
                    if ends is None or rhyme in ends:
                        found[ids] = True
        return found

    @cached_property
    def _beginners(self) -> dict[tuple[str, ...], dict[str, list[int]]]:
        """Characters by the tones and the last rhyme of a telling phrase they begin, or of theirs.

        Many phrases sound alike: a line is compared with each sound once.
        """
        found: dict[tuple[str, ...], dict[str, set[int]]] = {}
        for c, id_ in self._ids.items():
            for phrase in (c, *self._beginning.get(c, ())):
                read = self._known[phrase]
                alike = found.setdefault(tuple(r.tone for r in read), {})
                alike.setdefault(read[-1].rhyme, set()).add(id_)
        return {tones: {r: sorted(ids) for r, ids in each.items()} for tones, each in found.items()}

    def _reach_of(self, begun: str) -> int:
        """Return how far telling phrases that are open at the end of a verse can reach; 0: none."""
        ends = [begun[n:] for n in range(len(begun))]
        reach = max(
            (
                len(begun) - len(end) + len(phrase)
                for end in ends
                for phrase in self._beginning.get(end[:2], ())
                if len(end) < len(phrase) and phrase.startswith(end)
            ),
            default=0,
        )
        return max(reach, len(begun) + _LONGEST_PHRASE) if self._taken(begun) else reach

    def _taken(self, begun: str) -> set[str]:
        """Return the characters that begin telling phrases, but here complete another phrase."""
        ends = (begun[n:] for n in range(len(begun)))
        return {
            c
            for end in ends
            for c in self._following.get(end, ())
            if end + c in self._known and c in self._beginning
        }

    def _kept_of(self, begun: str, rest: Line) -> tuple[list[int], list[bool]]:
        """Return the characters that go on open telling phrases, and whether they fit a line."""
        ends = (begun[n:] for n in range(len(begun)))
        changing = set().union(*(self._changing.get(end, ()) for end in ends))
        going_on = sorted(changing | self._taken(begun))
        return [self._ids[c] for c in going_on], [self.keeps(begun + c, rest) for c in going_on]

    def _may_complete(self, begun: str, rest: Line) -> bool:
        """Return whether a longer phrase that begins with ``begun`` fits a line."""
        return any(
            len(begun) < len(phrase) and phrase.startswith(begun) and self._fits(phrase, rest, 0)
            for phrase in self._beginning.get(begun[:2], ())
        )

    def _fits(self, phrase: str, line: Line, place: int) -> bool:
        """Return whether a phrase may stand in a line from a place on."""
        return place + len(phrase) <= len(line) and all(
            line.admits(place + n, reading) for n, reading in enumerate(self._known[phrase])
        )

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
