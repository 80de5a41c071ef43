"""The forms of poems, and their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from chargen.options import Config, option

MOST_VERSES, MOST_CHARACTERS = 200, 100


@dataclass(frozen=True)
class Shape:
    """The number of verses and of characters per verse; None if it isn't fixed by the form."""

    verses: int | None
    characters: int | None
    summary: str


FORMS: Mapping[str, Shape] = MappingProxyType(
    {
        "wujue": Shape(4, 5, "four verses of five characters"),
        "qijue": Shape(4, 7, "four verses of seven characters"),
        "wulv": Shape(8, 5, "eight verses of five characters"),
        "qilv": Shape(8, 7, "eight verses of seven characters"),
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
    rhyme: bool = option(False, "Rhyme of the even verses", panel=POEMS)
    tones: bool = option(False, "Classical tone patterns", panel=POEMS)
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

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        form = cls(**values)
        found = form._size_conflicts()
        if not found and len(form.acrostic) > form.verses:
            found.append(
                f"`acrostic` has {len(form.acrostic)} characters, but {form.name} has only "
                f"{form.verses} verse{'s' if form.verses > 1 else ''}"
            )
        if form.rhyme and form.name == "couplet":
            found.append("the lines of a couplet don't rhyme: leave `rhyme` out")
        if form.name == "lines" and form.tones and form.characters not in (5, 7):
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
