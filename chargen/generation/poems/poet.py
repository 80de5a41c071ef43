"""What a model can write of poems: the characters of its vocabulary, and whether a form suits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.generation.poems.forms import Form
from chargen.generation.poems.hearing import Allowed, AnyReading, Ear, InContext, Line
from chargen.generation.poems.plan import HANZI, Plan, line_to_answer, plan
from chargen.generation.poems.pronunciation import LEVEL, heard, readings
from chargen.generation.poems.tones import EITHER, Pattern, answer, patterns

Given = tuple[Mapping[int, str], ...]
"""The characters that are given, by their places in each verse."""


@dataclass(frozen=True)
class Task:
    """A poem to write.

    Attributes:
        form: of the poem.
        plan: its shape.
        ways: the tone patterns that it may have.
        rhymes: the rhyme groups that it may have; empty if it doesn't rhyme.
        ear: how its characters are heard; None if that doesn't matter.
        given: the characters that are given, by their places in each verse.
    """

    form: Form
    plan: Plan
    ways: tuple[Pattern, ...]
    rhymes: frozenset[str]
    ear: Ear | None
    given: Given

    @property
    def characters(self) -> int:
        """The number of characters of the whole poem."""
        return self.plan.length

    @property
    def may_fail(self) -> bool:
        """Whether what is drawn may come to a place where nothing can follow."""
        return self.ear is not None or bool(self.form.parallel)


class Poet:
    """Knowledge about the characters of a vocabulary, computed when needed.

    Args:
        tokenizer: the tokenizer of the model.
        width: |V'|, the length of a mask.
    """

    def __init__(self, tokenizer: Tokenizer, width: int) -> None:
        self._tokenizer, self.width = tokenizer, width
        self._sizes: dict[tuple[Ear, str], Mapping[str, int]] = {}

    @cached_property
    def ids(self) -> dict[str, int]:
        """The piece id of each character that can be drawn."""
        drawable = np.flatnonzero(
            ~self._tokenizer.never_sampled & (self._tokenizer.byte_values < 0)
        )
        return {self._tokenizer.piece(n): n for n in drawable.tolist()}

    @cached_property
    def hanzi(self) -> dict[str, int]:
        """The piece id of each Chinese character that can be drawn."""
        return {text: id_ for text, id_ in self.ids.items() if HANZI.fullmatch(text)}

    @cached_property
    def characters(self) -> dict[int, str]:
        """The Chinese character of each piece that is one."""
        return {id_: text for text, id_ in self.hanzi.items()}

    @cached_property
    def all_hanzi(self) -> Allowed:
        """The Chinese characters, (|V'|,)."""
        return self.only(*self.hanzi.values())

    @cached_property
    def _in_context(self) -> InContext:
        return InContext(self.hanzi, self.width)

    @cached_property
    def _any_reading(self) -> AnyReading:
        return AnyReading(self.hanzi, self.width)

    @cached_property
    def _any_possible(self) -> AnyReading:
        return AnyReading(self.hanzi, self.width, rare=True)

    @property
    def lenient(self) -> Ear:
        """What counts every reading of a character that is in use."""
        return self._any_reading

    def only(self, *ids: int) -> Allowed:
        """Return what allows some pieces and no others, (|V'|,)."""
        allowed = np.zeros(self.width, bool)
        allowed[list(ids)] = True
        return allowed

    def task(self, form: Form, prompt: str) -> Task:
        """Plan a poem.

        Raises:
            GenerationError: the form isn't usable, the prompt doesn't fit it, or the vocabulary
                lacks characters that it needs.
        """
        problems = form.problems()
        if problems:
            raise GenerationError(
                f"The form is not usable: {'; '.join(problems)}.", "Change the form."
            )
        shape = plan(form, prompt)
        if len(form.places) > shape.verses * shape.characters:
            raise GenerationError(
                f"`pattern` has {len(form.places)} places, and the verse {shape.characters}.",
                "Give no more than the last line of the prompt has.",
            )
        given = form.given(shape.characters)
        fixed = {c for verse in given for c in verse.values()}
        self._check_characters(set("".join(shape.marks)) | fixed)
        if unfit := sorted(c for c in fixed if c not in self.hanzi and self.hanzi):
            shown = ", ".join(map(repr, unfit))
            raise GenerationError(
                f"A verse can't have {shown}, which `pattern` or `acrostic` gives.",
                "Give Chinese characters.",
            )
        if not self.hanzi:
            raise GenerationError(
                "The model's vocabulary has no Chinese characters.",
                "Use forms with models of Chinese texts.",
            )
        ear = self._ear(form)
        ways: list[Pattern] = [((EITHER * shape.characters,),) * shape.verses]
        if form.toned and ear is not None:
            ways = self._ways(form, shape, prompt, ear, given)
        rhymes: frozenset[str] = frozenset()
        if form.rhyming and ear is not None:
            rhymes = self._rhyme_groups(form, ear, given, shape.characters - 1)
        return Task(form, shape, tuple(ways), rhymes, ear, given)

    def _ear(self, form: Form) -> Ear | None:
        if not form.toned and not form.rhyming:
            return None
        return self._any_reading if form.tones == "lenient" else self._in_context

    def _check_characters(self, needed: set[str]) -> None:
        missing = sorted(c for c in needed if c not in self.ids)
        if missing:
            shown = ", ".join(map(repr, missing))
            raise GenerationError(
                f"The model can't write {shown}, which the form needs.",
                "Use another acrostic, pattern or form, or a model of texts with these characters.",
            )

    def _ways(self, form: Form, shape: Plan, prompt: str, ear: Ear, given: Given) -> list[Pattern]:
        """Return the tone patterns that fit what is given and for which there are characters."""
        if form.name == "couplet":
            ways = [_answer(line_to_answer(prompt), lenient=form.tones == "lenient")]
        else:
            first = 0 in form.rhyming
            ways = patterns(shape.verses, shape.characters, first_rhyme=first)
        ways = [
            way
            for way in ways
            if all(
                any(self.may_have(verse, Line(tones), ear) for tones in lines)
                for verse, lines in zip(given, way, strict=True)
            )
        ]
        used = sorted(set("".join(tones for way in ways for lines in way for tones in lines)))
        empty = [mark for mark in used if not ear.allowed("", Line(mark)).any()]
        if empty or not ways:
            reason = (
                f"no character is read {' or '.join(empty)}"
                if empty
                else f"{_names_of_given(form)} it"
            )
            raise GenerationError(
                f"The tone pattern can't be kept: {reason}.",
                "Leave out `tones`, or change what is given.",
            )
        return ways

    def may_have(self, given: Mapping[int, str], line: Line, ear: Ear) -> bool:
        """Return whether the characters that are given for a verse may stand in a line.

        Where characters are heard in their verse, the first one is heard as it begins it; how
        others are heard depends on those before them.
        """
        return all(
            (self._possible(ear) if place else ear).keeps(c, line.after(place))
            for place, c in given.items()
        )

    def _possible(self, ear: Ear) -> Ear:
        """Return what hears a character as ``ear`` may hear it anywhere in a verse."""
        return self._any_possible if isinstance(ear, InContext) else ear

    def _rhyme_groups(self, form: Form, ear: Ear, given: Given, last: int) -> frozenset[str]:
        """Return the rhyme groups that have enough characters, and those that are given."""
        needed, mark = len(form.rhyming), LEVEL if form.toned else EITHER
        if (ear, mark) not in self._sizes:
            self._sizes[ear, mark] = ear.sizes(mark)
        sizes = self._sizes[ear, mark]
        enough = frozenset(group for group, size in sizes.items() if size >= needed)
        if not enough:
            raise GenerationError(
                f"No rhyme has {needed} characters in the model's vocabulary.",
                "Leave out `rhyme`, or use a shorter form.",
            )
        ends = [verse[last] for verse in (given[n] for n in form.rhyming) if last in verse]
        known = self._possible(ear).heard("".join(ends))
        shared = enough.intersection(*({r.rhyme for r in found} for found in known))
        if not shared or len(set(ends)) < len(ends):
            raise GenerationError(
                f"The verses can't rhyme: {'、'.join(ends)} are given as their last characters.",
                "Leave out `rhyme`, or change what is given.",
            )
        return shared


def _names_of_given(form: Form) -> str:
    names = [f"`{name}`" for name in ("acrostic", "pattern") if getattr(form, name)]
    return f"{' and '.join(names)} {'do' if len(names) > 1 else 'does'}n't fit"


def _answer(line: str, *, lenient: bool) -> Pattern:
    """Return the tones of a line that answers another one."""
    known = readings(line) if lenient else {}
    found = [known[c] for c in line] if lenient else [(reading,) for reading in heard(line)]
    return answer([frozenset(r.tone for r in each if r.tone) for each in found])
