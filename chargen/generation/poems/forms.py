"""The forms that a poem can be asked to keep, as data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MOST_VERSES, MOST_CHARACTERS = 200, 100


@dataclass(frozen=True)
class Shape:
    """How many verses of how many characters; None where the form itself says."""

    verses: int | None
    characters: int | None
    summary: str


FORMS: Mapping[str, Shape] = MappingProxyType(
    {
        "wujue": Shape(4, 5, "four verses of five characters"),
        "qijue": Shape(4, 7, "four verses of seven characters"),
        "wulv": Shape(8, 5, "eight verses of five characters"),
        "qilv": Shape(8, 7, "eight verses of seven characters"),
        "couplet": Shape(1, None, "a second line as long as the prompt's last one"),
        "lines": Shape(None, None, "so many lines of so many characters, no punctuation"),
    }
)


@dataclass(frozen=True)
class Form:
    """What a poem must keep.

    Attributes:
        name: of FORMS.
        acrostic: verse n begins with the n-th of these characters.
        rhyme: whether the even verses rhyme with each other.
        tones: whether the classical tone patterns are kept.
        lines, characters: of the form ``lines``, and of no other.
    """

    name: str
    acrostic: str = ""
    rhyme: bool = False
    tones: bool = False
    lines: int | None = None
    characters: int | None = None

    @property
    def verses(self) -> int:
        """How many verses are to be written."""
        return FORMS[self.name].verses or self.lines or 0

    def problems(self) -> list[str]:
        """Everything that is wrong with it, whatever the prompt and the model."""
        if self.name not in FORMS:
            return [f"there is no form {self.name!r}{nearest(self.name, FORMS)}"]
        found = self._size_problems()
        if not found and len(self.acrostic) > self.verses:
            found.append(
                f"the acrostic has {len(self.acrostic)} characters, and {self.name} only "
                f"{self.verses} verse{'s' if self.verses > 1 else ''}"
            )
        if self.rhyme and self.name == "couplet":
            found.append("the lines of a couplet don't rhyme: leave rhyme out")
        if self.name == "lines" and self.tones and self.characters not in (5, 7):
            found.append("there are tone patterns for lines of 5 or 7 characters only")
        if self.rhyme and self.acrostic and self.characters == 1:
            found.append("a line of one character can't both begin an acrostic and rhyme")
        return found

    def _size_problems(self) -> list[str]:
        found = []
        for name, most in (("lines", MOST_VERSES), ("characters", MOST_CHARACTERS)):
            value = getattr(self, name)
            if self.name != "lines" and value is not None:
                found.append(f"{name} belongs to the form lines, not to {self.name}")
            elif self.name == "lines" and value is None:
                found.append(f"the form lines needs {name}")
            elif self.name == "lines" and not 1 <= value <= most:
                found.append(f"{name} is {value}, not in 1 to {most}")
        return found


def nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    """``, did you mean …?`` where a known name is close, else the list of the known ones."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
