"""Rules that an answer must keep: as long as its line, or the second line of a couplet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.generation.poems.hearing import Line
from chargen.generation.poems.plan import HANZI
from chargen.generation.poems.poet import Poet
from chargen.generation.poems.pronunciation import LEVEL, OBLIQUE, readings
from chargen.generation.poems.tones import EITHER, answer
from chargen.generation.poems.verse import Mask
from chargen.generation.text import may_begin

_MARKS = "，。！？；：、,.!?;:"
RULES = ("length", "repetition", "no character of the line", "tones")
"""What the second line of a couplet keeps, in the order in which ``broken_rules`` names it."""


class Rules(Protocol):
    """What an answer must be.

    Attributes:
        characters: its length.
    """

    @property
    def characters(self) -> int: ...

    def mask(self, written: Sequence[int]) -> Mask:
        """The mask of the next piece after whole characters; fewer than ``characters``."""


@dataclass
class RuledText:
    """An answer that is being written by rules.

    Attributes:
        rules: that it keeps.
        reason: why it ends once it is complete.
    """

    rules: Rules
    reason: str
    _written: list[int] = field(default_factory=list)

    @property
    def characters(self) -> int:
        return self.rules.characters

    def mask(self) -> Mask:
        return self.rules.mask(self._written)

    def add(self, id_: int) -> None:
        self._written.append(id_)


class SameLength:
    """As many characters as the line has, and no line end among them."""

    def __init__(self, tokenizer: Tokenizer, width: int, characters: int) -> None:
        self.characters = characters
        allowed = ~np.asarray(tokenizer.never_sampled, bool)
        values = tokenizer.byte_values.tolist()
        allowed &= np.array([byte < 0 or may_begin(byte) for byte in values])
        allowed[tokenizer.newline_id] = False
        self._mask = np.full(width, -np.inf, np.float32)
        self._mask[np.flatnonzero(allowed)] = 0

    def mask(self, written: Sequence[int]) -> Mask:
        del written
        return self._mask


class Couplet:
    """The second line of a couplet.

    It is as long as the first line. At the even places of a verse and at its end it has a tone
    opposite to the first line's, as far as that is certain; of a character that is read in several
    ways, any reading in use counts. Where the first line has a character
    again, it has one again, and nowhere else; and it has no character of the first line. Marks
    stand where the first line has them, and divide it into verses.

    Args:
        poet: of the model's vocabulary.
        line: the first line.

    Raises:
        GenerationError: the line has other characters than Chinese ones and marks, or no answer in
            the vocabulary keeps all rules.
        MissingExtraError: pypinyin is not installed.
    """

    def __init__(self, poet: Poet, line: str) -> None:
        if not line or not all(c in _MARKS or HANZI.fullmatch(c) for c in line):
            raise GenerationError(
                "A couplet needs a first line of Chinese characters and marks.",
                "Give such a line, or leave `form` out.",
            )
        self.characters, self._line, self._poet = len(line), line, poet
        if missing := sorted({c for c in line if c in _MARKS} - poet.ids.keys()):
            raise GenerationError(
                f"The model can't write {', '.join(map(repr, missing))}, which the line has.",
                "Leave such marks out of it.",
            )
        self._needs = needed_tones(line)
        self._may = {tone: poet.lenient.allowed("", Line(tone)) for tone in (LEVEL, OBLIQUE)}
        self._free = poet.all_hanzi.copy()
        self._free[[poet.ids[c] for c in line if c in poet.ids]] = False
        if not self._possible(self._free, list(self._needs)):
            raise GenerationError(
                f"No second line that the model could write keeps the rules of a couplet with "
                f"{line!r}: too few characters have the tones.",
                "Use a model with more characters, or leave `form` out.",
            )

    def mask(self, written: Sequence[int]) -> Mask:
        place = len(written)
        wanted = self._line[place]
        if wanted in _MARKS:
            return _as_mask(self._poet.only(self._poet.ids[wanted]))
        if wanted in self._line[:place]:
            return _as_mask(self._poet.only(written[self._line.index(wanted)]))
        free = self._free.copy()
        free[list(written)] = False
        open_ = [c for c in self._needs if c not in self._line[:place] and c != wanted]
        return _as_mask(self._allowed(free, self._needs[wanted], open_))

    def _allowed(
        self, free: NDArray[np.bool_], tone: str, later: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Those of the free pieces that fit a tone and leave enough for what comes later."""
        level, oblique = self._may[LEVEL], self._may[OBLIQUE]
        fitting = free if tone == EITHER else free & self._may[tone]
        for kind in (level & ~oblique, oblique & ~level, level & oblique, ~(level | oblique)):
            some = fitting & kind
            if not some.any():
                continue
            left = free.copy()
            left[int(np.flatnonzero(some)[0])] = False
            if not self._possible(left, later):
                fitting = fitting & ~kind
        return fitting

    def _possible(self, free: NDArray[np.bool_], characters: Sequence[str]) -> bool:
        """Whether there are different free pieces for all of these characters of the line.

        By Hall's theorem it is enough to count: those of one tone, of the other, of both, and all.
        """
        level, oblique = free & self._may[LEVEL], free & self._may[OBLIQUE]
        needs = [self._needs[c] for c in characters]
        ups, downs = needs.count(LEVEL), needs.count(OBLIQUE)
        return (
            ups <= int(level.sum())
            and downs <= int(oblique.sum())
            and ups + downs <= int((level | oblique).sum())
            and len(needs) <= int(free.sum())
        )


def _as_mask(allowed: NDArray[np.bool_]) -> Mask:
    return np.where(allowed, np.float32(0), np.float32(-np.inf))


def needed_tones(line: str) -> dict[str, str]:
    """The tone that stands opposite to each character of a couplet's first line, 中 for either.

    A character that stands at several places needs what any of them does.
    """
    known = readings(line)
    needs: dict[str, str] = {}
    for verse in re.split(f"[{re.escape(_MARKS)}]", line):
        tones = [frozenset(r.tone for r in known[c] if r.tone) for c in verse]
        for c, tone in zip(verse, answer(tones)[0][0], strict=True):
            if needs.get(c, EITHER) == EITHER:
                needs[c] = tone
    return needs


def broken_rules(first: str, second: str) -> tuple[str, ...]:
    """Which of ``RULES`` the second line of a couplet breaks.

    Raises:
        MissingExtraError: pypinyin is not installed.
    """
    if len(first) != len(second):
        return ("length",)
    broken = []
    both = list(zip(first, second, strict=True))
    if any((a == c) != (b == d) for n, (a, b) in enumerate(both) for c, d in both[:n]):
        broken.append("repetition")
    if any(b in first for _, b in both if b not in _MARKS):
        broken.append("no character of the line")
    needs, known = needed_tones(first), readings(second)
    fits = (
        needs.get(a, EITHER) == EITHER or any(r.tone == needs[a] for r in known[b]) for a, b in both
    )
    if not all(fits):
        broken.append("tones")
    return tuple(broken)
