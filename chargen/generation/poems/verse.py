"""A poem as it is written: the pieces allowed at each place, and whether it holds in the end."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from chargen.generation.poems import parallel
from chargen.generation.poems.hearing import Allowed, Line
from chargen.generation.poems.judging import holds, lines_heard, rhymes_heard
from chargen.generation.poems.poet import Poet, Task

Mask = NDArray[np.float32]
"""(|V'|,): 0 for pieces that are allowed, −∞ for all others."""

Banned = dict[tuple[int, ...], set[int]]
"""Pieces that may not be drawn again, by all pieces before them."""


class Poem:
    """A poem being written: its next place, and the pieces allowed there.

    Almost always something is allowed. Where nothing is, or where a verse sounds otherwise in the
    end than it must, the poem has failed and is to be drawn again.

    Args:
        poet: knows the vocabulary.
        task: what to write.
        banned: where earlier drafts failed.

    Attributes:
        failed: whether the poem can't be completed.
    """

    def __init__(self, poet: Poet, task: Task, banned: Banned | None = None) -> None:
        self.task, self.failed = task, False
        self._poet, self._banned = poet, {} if banned is None else banned
        self._ways, self._rhymes = task.ways, task.rhymes
        self._verses: list[str] = []
        self._written, self._mark = "", ""
        self._drawn: list[int] = []
        self._lines = self._next_lines()

    @property
    def can_be_redrawn(self) -> bool:
        """Whether another draft can do better."""
        return bool(self._drawn)

    def again(self) -> Poem:
        """Return the poem as at first, but for the piece with which this one failed."""
        *before, last = self._drawn
        self._banned.setdefault(tuple(before), set()).add(last)
        return Poem(self._poet, self.task, self._banned)

    def mask(self) -> Mask:
        """Return the mask of the next piece; any Chinese character where the poem has failed."""
        allowed = self._allowed()
        if not allowed.any():
            self.failed = True
            allowed = self._poet.all_hanzi
        return np.where(allowed, np.float32(0), np.float32(-np.inf))

    def add(self, id_: int) -> None:
        """Append a piece that the mask allowed; nothing if the poem has failed."""
        if self.failed:
            return
        self._drawn.append(id_)
        if self._mark:
            self._mark = self._mark[1:]
        else:
            self._written += self._poet.characters[id_]
            self._narrow()
        if len(self._verses) == self.task.plan.verses and not self._mark and not self.failed:
            self.failed = not holds(self._verses, self.task)

    def _narrow(self) -> None:
        """Keep what the verse still fits."""
        ear, number, verse = self.task.ear, len(self._verses), self._written
        if len(verse) < self.task.plan.characters:
            if ear is not None:
                self._lines = [line for line in self._lines if ear.keeps(verse, line)]
            return
        if ear is not None:
            heard = ear.heard(verse)
            self._ways = tuple(way for way in self._ways if lines_heard(heard, way[number]))
            if number in self.task.form.rhyming:
                lines = [line for way in self._ways for line in lines_heard(heard, way[number])]
                self._rhymes &= rhymes_heard(heard, lines)
                self.failed = not self._rhymes
            self.failed |= not self._ways
        self._mark = self.task.plan.marks[number]
        self._verses.append(verse)
        self._written = ""
        self._lines = self._next_lines()

    def _next_lines(self) -> list[Line]:
        """Return what the next verse may sound like; nothing after the last one."""
        number = len(self._verses)
        if number == self.task.plan.verses:
            return []
        rhymes = self._rhymes if number in self.task.form.rhyming else None
        tones = dict.fromkeys(tones for way in self._ways for tones in way[number])
        lines = [Line(each, rhymes) for each in tones]
        given, ear = self.task.given[number], self.task.ear
        if ear is not None and given:
            lines = [line for line in lines if self._poet.may_have(given, line, ear)]
        return lines

    def _allowed(self) -> Allowed:
        """Return what may come next, as an array that may be changed."""
        ids, number, place = self._poet.ids, len(self._verses), len(self._written)
        if self._mark:
            allowed = self._poet.only(ids[self._mark[0]])
        elif given := self.task.given[number].get(place):
            allowed = self._poet.only(ids[given])
        else:
            allowed = self._sounding()
            self._keep_parallel(allowed)
        allowed[list(self._banned.get(tuple(self._drawn), ()))] = False
        return allowed

    def _sounding(self) -> Allowed:
        """Return the characters that tones and rhyme allow."""
        ear, written, rhyming = self.task.ear, self._written, self.task.form.rhyming
        if ear is None:
            return self._poet.all_hanzi.copy()
        number, found = len(self._verses), np.zeros(self._poet.width, bool)
        for line in self._lines:
            found |= ear.allowed(written, line)
        if number in rhyming and len(written) == self.task.plan.characters - 1:
            last = self.task.plan.characters - 1
            self._forbid(found, (self._verses[n][-1] for n in rhyming if n < number))
            self._forbid(found, (self.task.given[n].get(last, "") for n in rhyming if n > number))
        return found

    def _keep_parallel(self, allowed: Allowed) -> None:
        """Forbid what would leave a couplet that isn't parallel."""
        form, number, written = self.task.form, len(self._verses), self._written
        own = self.task.given[number]
        later = {c for place, c in own.items() if place > len(written)}
        if number in form.parallel:
            first = self._verses[-1]
            if repeated := parallel.forced(first, written):
                allowed &= self._poet.only(self._poet.ids[repeated])
            else:
                self._forbid(allowed, {*first, *written, *later})
                self._fit_repeats(allowed, parallel.repeated_later(first, len(written)))
        elif number + 1 in form.parallel:
            given = self.task.given[number + 1]
            lines = [line for way in self._ways for line in way[number + 1]]
            rhymes = number + 1 in form.rhyming
            fixed = parallel.unrepeatable(written, lines, rhymes=rhymes, given=given)
            self._forbid(allowed, {*given.values(), *later, *fixed})

    def _fit_repeats(self, allowed: Allowed, places: list[int]) -> None:
        """Allow only characters that can stand at some later places of the verse as well."""
        if self.task.ear is None:
            return
        for place in places:
            there = np.zeros_like(allowed)
            for mark in {line.tones[place] for line in self._lines}:
                there |= self.task.ear.allowed("", Line(mark))
            allowed &= there

    def _forbid(self, allowed: Allowed, characters: Iterable[str]) -> None:
        allowed[[self._poet.ids[c] for c in characters if c in self._poet.ids]] = False
