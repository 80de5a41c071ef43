"""The forms of poems, and their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from chargen.options import Config, option

MOST_VERSES, MOST_CHARACTERS = 200, 100
_FREE, _BETWEEN = "_＿", "，。,./"


@dataclass(frozen=True)
class Shape:
    """The number of verses and of characters per verse; None if it isn't fixed by the form.

    ``parallel``: the verses, counted from 0, that are parallel to the one before them.
    """

    verses: int | None
    characters: int | None
    summary: str
    parallel: tuple[int, ...] = ()


FORMS: Mapping[str, Shape] = MappingProxyType(
    {
        "wujue": Shape(4, 5, "four verses of five characters"),
        "qijue": Shape(4, 7, "four verses of seven characters"),
        "wulv": Shape(8, 5, "eight verses of five characters", parallel=(3, 5)),
        "qilv": Shape(8, 7, "eight verses of seven characters", parallel=(3, 5)),
        "couplet": Shape(1, None, "a second line as long as the last line of the prompt"),
        "lines": Shape(None, None, "a given number of lines and characters, no punctuation"),
    }
)


POEMS = "Poems"


@dataclass(frozen=True)
class Form(Config):
    """The form of a poem, with further constraints."""

    judged_whole = True

    name: str = option(
        help="Form of a poem",
        choices={name: shape.summary for name, shape in FORMS.items()},
        parameter="form",
        panel=POEMS,
    )
    acrostic: str = option(
        "", "First characters of the verses, one per verse", default_text="none", panel=POEMS
    )
    pattern: str = option(
        "",
        "Given characters of the poem, verse by verse, with _ for each that is drawn; white space, "
        "commas, full stops and / between verses are skipped",
        default_text="none",
        panel=POEMS,
    )
    rhyme: bool = option(False, "Rhyme of the even verses", panel=POEMS)
    first_rhyme: str = option(
        "auto",
        "Rhyme of the first verse with the even ones",
        choices={"auto": "with rhyme and tones", "yes": "the flag alone", "no": ""},
        switch=("no", "yes"),
        panel=POEMS,
    )
    tones: str = option(
        "none",
        "Classical tone patterns",
        choices={
            "none": "",
            "strict": "characters as read in their verse; the flag alone",
            "lenient": "any reading of a character counts",
        },
        switch=("none", "strict"),
        panel=POEMS,
    )
    lines: int | None = option(
        None, "Number of verses of the form lines", low=1, high=MOST_VERSES, panel=POEMS
    )
    characters: int | None = option(
        None, "Characters per verse of the form lines", low=1, high=MOST_CHARACTERS, panel=POEMS
    )

    @property
    def verses(self) -> int:
        """The number of verses to write."""
        return FORMS[self.name].verses or self.lines or 0

    @property
    def places(self) -> str:
        """``pattern`` without what stands between its places, each _ or a given character."""
        places = "".join(c for c in self.pattern if not c.isspace() and c not in _BETWEEN)
        return places.translate(dict.fromkeys(map(ord, _FREE), "_"))

    def given(self, size: int) -> tuple[Mapping[int, str], ...]:
        """The characters that are given, by their places in each verse of ``size`` characters."""
        found: list[dict[int, str]] = [{} for _ in range(self.verses)]
        for n, character in enumerate(self.places):
            if character != "_":
                found[n // size][n % size] = character
        for verse, character in zip(found, self.acrostic, strict=False):
            verse[0] = character
        return tuple(found)

    @property
    def toned(self) -> bool:
        """Whether the poem has a tone pattern."""
        return self.tones != "none"

    @property
    def parallel(self) -> tuple[int, ...]:
        """The verses, counted from 0, that are parallel to the one before them."""
        return FORMS[self.name].parallel

    @property
    def rhyming(self) -> tuple[int, ...]:
        """The verses, counted from 0, that rhyme with each other."""
        if not self.rhyme or self.verses < 2:
            return ()
        first = self.first_rhyme == "yes" or (self.first_rhyme == "auto" and self.toned)
        return ((0,) if first else ()) + tuple(range(1, self.verses, 2))

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        form = cls.from_dict(values)
        found = form._size_conflicts()
        if not found:
            found += form._acrostic_conflicts()
            found += form._pattern_conflicts()
        if form.rhyme and form.name == "couplet":
            found.append("the lines of a couplet don't rhyme: leave `rhyme` out")
        if form.first_rhyme == "yes" and not form.rhyme:
            found.append("`first_rhyme` needs `rhyme`")
        if form.name == "lines" and form.toned and form.characters not in (5, 7):
            found.append("there are tone patterns only for lines of 5 or 7 characters")
        if form.rhyme and form.acrostic and form.characters == 1:
            found.append("a line of one character can't both begin an acrostic and rhyme")
        return found

    def _size_conflicts(self) -> list[str]:
        found = []
        for name in ("lines", "characters"):
            value = getattr(self, name)
            if self.name != "lines" and value is not None:
                found.append(f"`{name}` belongs to the form lines, not to {self.name}")
            elif self.name == "lines" and value is None:
                found.append(f"the form lines needs `{name}`")
        return found

    def _pattern_conflicts(self) -> list[str]:
        # A verse that answers a line is as long as that one, which isn't known here.
        size = FORMS[self.name].characters or self.characters or MOST_CHARACTERS
        places = self.places
        if len(self.acrostic) > self.verses:
            return []
        if len(places) > size * self.verses:
            return [
                f"`pattern` has {len(places)} places, but {self.name} has only "
                f"{size * self.verses} characters"
            ]
        found = [
            f"`pattern` begins verse {n + 1} with {places[n * size]!r}, and `acrostic` with {c!r}"
            for n, c in enumerate(self.acrostic)
            if places[n * size : n * size + 1] not in ("", "_", c)
        ]
        given = [set(verse.values()) for verse in self.given(size)]
        return found + [
            f"`pattern` gives verses {n} and {n + 1} {min(given[n] & given[n - 1])!r}, but they "
            "are parallel and share no character"
            for n in self.parallel
            if places and given[n] & given[n - 1]
        ]

    def _acrostic_conflicts(self) -> list[str]:
        given = self.acrostic
        if len(given) > self.verses:
            return [
                f"`acrostic` has {len(given)} characters, but {self.name} has only "
                f"{self.verses} verse{'s' if self.verses > 1 else ''}"
            ]
        return [
            f"`acrostic` begins verses {n} and {n + 1} with {given[n]!r}, but they are parallel "
            "and share no character"
            for n in self.parallel
            if n < len(given) and given[n] == given[n - 1]
        ]
