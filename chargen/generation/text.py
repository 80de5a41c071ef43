"""A text as it grows: whole characters out of pieces, and the end at a length or a stop string."""

from __future__ import annotations

from collections.abc import Sequence

from chargen.corpus.tokenizer import Tokenizer


def bytes_that_may_follow(begun: bytes) -> range:
    """The bytes that may follow the first ones of a UTF-8 character: no overlong form, no
    surrogate, nothing above U+10FFFF (The Unicode Standard, table 3-7).
    """
    if len(begun) > 1:
        return range(0x80, 0xC0)
    special = {
        0xE0: range(0xA0, 0xC0),
        0xED: range(0x80, 0xA0),
        0xF0: range(0x90, 0xC0),
        0xF4: range(0x80, 0x90),
    }
    return special.get(begun[0], range(0x80, 0xC0))


def may_begin(byte: int) -> bool:
    """Whether a byte may begin a UTF-8 character."""
    return byte < 0x80 or 0xC2 <= byte <= 0xF4


def utf8_length(lead: int) -> int:
    """How many bytes a character has that begins with ``lead``."""
    return 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)


_CLOSING = frozenset("\"'”’」』）》〉】)]}")
"""Marks that belong to the sentence before them."""
_ENDING = frozenset("。！？!?…")
_ENDING_BEFORE_SPACE = frozenset(".")
_LONGEST = 2
"""Times its length that a text may have while its end is waited for."""


def most_characters(length: int, end: str) -> int:
    """Characters that a text of a length has at most, while its end is waited for."""
    return length if end == "none" else _LONGEST * length


class GrowingText:
    """Pieces in, characters out, until the length, an end or a stop string is reached.

    Args:
        tokenizer: whose pieces are taken.
        length: characters after which the text ends, or its end is waited for.
        stop: strings before which it ends.
        end: ``none``, ``sentence`` or ``paragraph``: what must end as well.

    Attributes:
        begun: the bytes of a character that isn't whole yet.
        finish_reason: ``length``, ``stop`` or ``end`` once the text is done, else None.
        pieces: pieces taken so far.
    """

    def __init__(
        self, tokenizer: Tokenizer, length: int, stop: Sequence[str] = (), end: str = "none"
    ) -> None:
        self._tokenizer, self._of_piece = tokenizer, tokenizer.characters
        self._length = length
        self._longest = most_characters(length, end)
        self._end = end
        self._stop = stop
        self._cuts = bool(stop) or end != "none"
        self._characters: list[str] = []
        self._piece_counts: list[int] = []
        self._given = 0
        self.begun = b""
        self.pieces = 0
        self.finish_reason: str | None = None if length else "length"

    @property
    def characters(self) -> int:
        """Whole characters so far."""
        return len(self._characters)

    @property
    def text(self) -> str:
        return "".join(self._characters)

    def pieces_in_text(self) -> int:
        """How many of the pieces are in the text: those of a stop string are not."""
        return self._piece_counts[-1] if self._piece_counts else 0

    def pieces_of(self, n: int) -> slice:
        """The pieces that character ``n`` of the text was made of."""
        return slice(self._piece_counts[n - 1] if n else 0, self._piece_counts[n])

    def add(self, id_: int) -> str | None:
        """Take one piece; the reason where the text ends with it."""
        self.pieces += 1
        if id_ == self._tokenizer.end_id:
            self.finish_reason = "end"
            return self.finish_reason
        character = self._of_piece[id_] or self._character(id_)
        if character:
            self._characters.append(character)
            self._piece_counts.append(self.pieces)
            if self._cuts and self._stop and self._cut_stop():
                self.finish_reason = "stop"
            elif self._cuts and self._end != "none" and self._cut_begun():
                self.finish_reason = "end"
            elif len(self._characters) >= self._longest:
                self.finish_reason = "length"
        return self.finish_reason

    def take(self) -> str:
        """What is new since the last call, and can't become part of a stop string any more."""
        end = len(self._characters)
        if self._stop and self.finish_reason is None:
            end -= self._held_back()
        new = "".join(self._characters[self._given : end])
        self._given = max(self._given, end)
        return new

    def _character(self, id_: int) -> str:
        byte = int(self._tokenizer.byte_values[id_])
        if byte < 0:
            return self._tokenizer.piece(id_)
        self.begun += bytes([byte])
        if len(self.begun) < utf8_length(self.begun[0]):
            return ""
        whole, self.begun = self.begun.decode(), b""
        return whole

    def _cut_stop(self) -> bool:
        """Cut off the longest stop string that the text ends with."""
        longest = max(map(len, self._stop))
        tail = "".join(self._characters[-longest:])
        found = max((len(s) for s in self._stop if tail.endswith(s)), default=0)
        if found:
            del self._characters[-found:], self._piece_counts[-found:]
        return bool(found)

    def _cut_begun(self) -> bool:
        """Cut off the last character where the text before it is long enough and has ended."""
        *before, last = self._characters[-8:]
        ended = last == "\n" or (self._end == "sentence" and _has_ended(before, last))
        if len(self._characters) <= self._length or not ended:
            return False
        del self._characters[-1:], self._piece_counts[-1:]
        return True

    def _held_back(self) -> int:
        """Characters at the end that may be the beginning of a stop string."""
        longest = max(map(len, self._stop)) - 1
        tail = "".join(self._characters[-longest:]) if longest else ""
        for count in range(len(tail), 0, -1):
            if any(s.startswith(tail[-count:]) for s in self._stop):
                return count
        return 0


def _has_ended(before: list[str], last: str) -> bool:
    """Whether a sentence ends with ``before``, and ``last`` is no part of it."""
    if last in _CLOSING | _ENDING | _ENDING_BEFORE_SPACE:
        return False
    while before and before[-1] in _CLOSING:
        before.pop()
    mark = before[-1] if before else ""
    return mark in _ENDING or (mark in _ENDING_BEFORE_SPACE and last.isspace())
