"""Constrained generation of poems: the pieces allowed at each place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.generation.poems.forms import FORMS, MOST_CHARACTERS, Form
from chargen.generation.poems.pronunciation import LEVEL, Reading, readings
from chargen.generation.poems.tones import EITHER, Pattern, answer, patterns

Mask = NDArray[np.float32]
"""(|V'|,): 0 for pieces that are allowed, −∞ for all others."""

_HANZI = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_COMMA, _FULL_STOP, _LINE_END = "，", "。", "\n"
_LAST_LINE = re.compile(r"([^\n，。！？；：、,.!?;:]*)([，。！？；：、,.!?;:]*\n?)\Z")


def lead(form: Form, prompt: str) -> str:
    """Return the prompt before the poem, closed by a line end or a comma."""
    if form.name == "couplet":
        return prompt if _last_line(prompt)[1] else prompt + _COMMA
    return prompt if not prompt or prompt.endswith(_LINE_END) else prompt + _LINE_END


def _last_line(prompt: str) -> tuple[str, str]:
    """Return the last line of a prompt, and the punctuation at its end."""
    match = _LAST_LINE.search(prompt)
    return (match[1], match[2]) if match else ("", "")


class Poet:
    """Knowledge about the characters of a vocabulary, and their masks, computed when needed.

    Args:
        tokenizer: the tokenizer of the model.
        width: |V'|, the length of a mask.
    """

    def __init__(self, tokenizer: Tokenizer, width: int) -> None:
        self._tokenizer, self._width = tokenizer, width
        self._by_tones: dict[frozenset[str], Mask] = {}
        self._rhyming: dict[frozenset[str], dict[str, frozenset[int]]] = {}

    @cached_property
    def ids(self) -> dict[str, int]:
        """The piece id of each character that can be drawn."""
        drawable = np.flatnonzero(
            ~self._tokenizer.never_sampled & (self._tokenizer.byte_values < 0)
        )
        return {self._tokenizer.piece(n): n for n in drawable.tolist()}

    @cached_property
    def hanzi(self) -> dict[int, str]:
        """The Chinese characters among the pieces."""
        return {id_: text for text, id_ in self.ids.items() if _HANZI.fullmatch(text)}

    @cached_property
    def readings(self) -> dict[int, tuple[Reading, ...]]:
        """The readings of the Chinese characters, by piece id."""
        known = readings(self.hanzi.values())
        return {id_: known[text] for id_, text in self.hanzi.items()}

    def mask(self, ids: Iterable[int]) -> Mask:
        mask = np.full(self._width, -np.inf, np.float32)
        mask[list(ids)] = 0
        return mask

    def hanzi_mask(self, tones: frozenset[str]) -> Mask:
        """Return the mask of characters that can be read in one of ``tones`` (中: all)."""
        if tones not in self._by_tones:
            self._by_tones[tones] = self.mask(n for n in self.hanzi if self.fits(n, tones))
        return self._by_tones[tones]

    def fits(self, id_: int, tones: frozenset[str]) -> bool:
        return EITHER in tones or any(r.tone in tones for r in self.readings.get(id_, ()))

    def rhymes(self, id_: int, tones: frozenset[str]) -> frozenset[str]:
        """Return the rhyme groups of a character, read in one of ``tones``."""
        return frozenset(
            r.rhyme
            for r in self.readings.get(id_, ())
            if r.rhyme and (EITHER in tones or r.tone in tones)
        )

    def rhyming(self, tones: frozenset[str]) -> dict[str, frozenset[int]]:
        """Return the characters that can be read in one of ``tones``, by rhyme group."""
        if tones not in self._rhyming:
            groups: dict[str, set[int]] = {}
            for id_ in self.hanzi:
                for group in self.rhymes(id_, tones):
                    groups.setdefault(group, set()).add(id_)
            self._rhyming[tones] = {group: frozenset(ids) for group, ids in groups.items()}
        return self._rhyming[tones]

    def begin(self, form: Form, prompt: str) -> Verse:
        """Begin a poem.

        Raises:
            GenerationError: the form isn't usable, the prompt doesn't fit it, or the vocabulary
                lacks characters that it needs.
        """
        problems = form.problems()
        if problems:
            raise GenerationError(
                f"The form is not usable: {'; '.join(problems)}.", "Change the form."
            )
        plan = _couplet_plan(form, prompt) if form.name == "couplet" else _poem_plan(form)
        self._check_characters(set("".join(plan.marks)) | set(form.acrostic))
        if not self.hanzi:
            raise GenerationError(
                "The model's vocabulary has no Chinese characters.",
                "Use forms with models of Chinese texts.",
            )
        ways = self._ways(form, plan, prompt) if form.tones else [_free(plan)]
        rhymes = plan.verses // 2 if form.rhyme else 0
        return Verse(self, form, plan, ways, self._rhyme_groups(form, rhymes))

    def _check_characters(self, needed: set[str]) -> None:
        missing = sorted(c for c in needed if c not in self.ids)
        if missing:
            shown = ", ".join(map(repr, missing))
            raise GenerationError(
                f"The model can't write {shown}, which the form needs.",
                "Use another acrostic or form, or a model of texts with these characters.",
            )

    def _ways(self, form: Form, plan: _Plan, prompt: str) -> list[Pattern]:
        """Return the tone patterns that fit the acrostic and for which there are characters."""
        if form.name == "couplet":
            line = _last_line(prompt)[0]
            known = readings(line)
            ways = [answer([frozenset(r.tone for r in known[c] if r.tone) for c in line])]
        else:
            ways = patterns(plan.verses, plan.characters)
        firsts = [self.ids[c] for c in form.acrostic]
        ways = [
            way
            for way in ways
            if all(
                any(self.fits(id_, frozenset(line[0])) for line in lines)
                for id_, lines in zip(firsts, way, strict=False)
            )
        ]
        used = set("".join(line for way in ways for lines in way for line in lines)) - {EITHER}
        empty = [t for t in used if not np.isfinite(self.hanzi_mask(frozenset(t))).any()]
        if empty or not ways:
            reason = (
                f"no character is read {' or '.join(empty)}"
                if empty
                else "`acrostic` doesn't fit it"
            )
            raise GenerationError(
                f"The tone pattern can't be kept: {reason}.",
                "Leave out `tones`, or change the acrostic.",
            )
        return ways

    def _rhyme_groups(self, form: Form, rhymes: int) -> frozenset[str]:
        """Return the rhyme groups that have at least ``rhymes`` characters."""
        if rhymes < 1:
            return frozenset()
        groups = self.rhyming(frozenset(LEVEL if form.tones else EITHER))
        enough = frozenset(group for group, ids in groups.items() if len(ids) >= rhymes)
        if not enough:
            raise GenerationError(
                f"No rhyme has {rhymes} characters in the model's vocabulary.",
                "Leave out `rhyme`, or use a shorter form.",
            )
        return enough


@dataclass(frozen=True)
class _Plan:
    """The shape of a poem; ``marks`` is the text after each verse."""

    verses: int
    characters: int
    marks: tuple[str, ...]


def _poem_plan(form: Form) -> _Plan:
    shape = FORMS[form.name]
    verses, characters = form.verses, shape.characters or form.characters or 0
    if form.name == "lines":
        return _Plan(verses, characters, (_LINE_END,) * (verses - 1) + ("",))
    couplet = (_COMMA, _FULL_STOP + _LINE_END)
    marks = (*(couplet * (verses // 2))[:-1], _FULL_STOP)
    return _Plan(verses, characters, marks)


def _couplet_plan(form: Form, prompt: str) -> _Plan:
    line, closing = _last_line(prompt)
    if not line or len(line) > MOST_CHARACTERS or not all(map(_HANZI.fullmatch, line)):
        raise GenerationError(
            f"A {form.name} needs a prompt whose last line has only Chinese characters.",
            f"End the prompt with a line of 1 to {MOST_CHARACTERS} Chinese characters.",
        )
    return _Plan(1, len(line), ("" if closing == _LINE_END else _FULL_STOP,))


def _free(plan: _Plan) -> Pattern:
    return ((EITHER * plan.characters,),) * plan.verses


@dataclass
class Verse:
    """A poem being written: its next place, and the pieces allowed there.

    Attributes:
        ways: the tone patterns that the text so far fits.
        rhymes: the rhyme groups that the text so far fits.
        reason: why a complete poem ends.
    """

    poet: Poet
    form: Form
    plan: _Plan
    ways: list[Pattern]
    rhymes: frozenset[str]
    reason: ClassVar[str] = "form"
    _verse: int = 0
    _written: list[int] = field(default_factory=list)
    _rhymed: set[int] = field(default_factory=set)
    _mark: str = ""

    @property
    def characters(self) -> int:
        """The number of characters of the whole poem."""
        return self.plan.verses * self.plan.characters + len("".join(self.plan.marks))

    def mask(self) -> Mask:
        """Return the mask of the next piece."""
        if self._mark:
            return self.poet.mask([self.poet.ids[self._mark[0]]])
        place = len(self._written)
        if place == 0 and self._verse < len(self.form.acrostic):
            return self.poet.mask([self.poet.ids[self.form.acrostic[self._verse]]])
        tones = frozenset(line[place] for line in self._lines())
        if not self._rhymes_here(place):
            return self.poet.hanzi_mask(tones)
        groups = self.poet.rhyming(tones)
        rhyming = frozenset().union(*(groups.get(group, frozenset()) for group in self.rhymes))
        return self.poet.mask(rhyming - self._rhymed)

    def add(self, id_: int) -> None:
        """Append a piece."""
        if self._mark:
            self._mark = self._mark[1:]
            return
        place = len(self._written)
        if self._rhymes_here(place):
            tones = frozenset(line[place] for line in self._lines())
            self.rhymes &= self.poet.rhymes(id_, tones)
            self._rhymed.add(id_)
        self._written.append(id_)
        if len(self._written) == self.plan.characters:
            self.ways = [way for way in self.ways if self._open(way)]
            self._mark = self.plan.marks[self._verse]
            self._verse += 1
            self._written = []

    def _rhymes_here(self, place: int) -> bool:
        last = place == self.plan.characters - 1
        return bool(self.rhymes) and last and self._verse % 2 == 1

    def _open(self, way: Pattern) -> list[str]:
        """Return the variants of this verse in a pattern that the text so far fits."""
        return [
            line
            for line in way[self._verse]
            if all(
                self.poet.fits(id_, frozenset(tone))
                for id_, tone in zip(self._written, line, strict=False)
            )
        ]

    def _lines(self) -> list[str]:
        return [line for way in self.ways for line in self._open(way)]
