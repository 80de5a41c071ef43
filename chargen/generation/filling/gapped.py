"""A line with gaps: what it says, where characters are missing, and whether it can be filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chargen.corpus.record_fields import LONGEST
from chargen.corpus.tokenizer import Ids, Tokenizer
from chargen.errors import GenerationError

GAP = -1
"""What stands for a missing piece."""


@dataclass(frozen=True)
class Gapped:
    """A line with gaps.

    Attributes:
        text: with the mark in its gaps.
        mark: of the gaps.
        ids: of its pieces, ``GAP`` for a gap.
    """

    text: str
    mark: str
    ids: tuple[int, ...]

    @property
    def last(self) -> int:
        """The place of the last gap."""
        return len(self.ids) - 1 - self.ids[::-1].index(GAP)

    def with_characters(self, characters: Sequence[str]) -> str:
        """The text with its gaps filled, in their order."""
        parts = self.text.split(self.mark)
        return "".join(a + b for a, b in zip(parts, [*characters, ""], strict=True))


def read_gapped(text: str, mark: str, tokenizer: Tokenizer) -> Gapped:
    """A line whose gaps can be filled.

    Raises:
        GenerationError: it has no gaps or nothing else, is several lines or too long, or has a
            character, perhaps the mark, that the model can't read or can't tell from a gap.
    """
    check_mark(mark, tokenizer)
    if "\n" in text:
        raise GenerationError(
            f"The text has {text.count(chr(10)) + 1:,} lines, and a line is filled by itself.",
            "Give its lines one by one.",
        )
    if mark not in text:
        raise GenerationError(
            f"The text has no {mark}: there is nothing to fill.",
            f"Put {mark} for each missing character, or name the sign that it has with `mark`.",
        )
    if not text.replace(mark, "").strip():
        raise GenerationError(
            "The text is nothing but gaps.", "Give at least one of its characters."
        )
    if len(text) > LONGEST:
        raise GenerationError(
            f"The text has {len(text):,} characters, and a line has {LONGEST:,} at most.",
            "Give the part around the gap.",
        )
    unseen = [] if tokenizer.has_bytes else tokenizer.unseen(text.replace(mark, ""))
    if unseen:
        raise GenerationError(
            f"The model has never seen {', '.join(map(repr, unseen[:10]))}, which the text has.",
            f"Put {mark} for these characters too, or train with `oov=bytes`.",
        )
    ids: list[int] = []
    for n, part in enumerate(text.split(mark)):
        ids += [*([GAP] if n else []), *tokenizer.encode(part).tolist()]
    return Gapped(text, mark, tuple(ids))


def check_mark(mark: str, tokenizer: Tokenizer) -> None:
    """Raise GenerationError where a sign is a character of the vocabulary."""
    if not tokenizer.unseen(mark):
        raise GenerationError(
            f"{mark} is a character of the text that the model learnt, so it can't mark a gap.",
            "Name a sign that the text doesn't have with `mark`.",
        )


def characters_for_gaps(tokenizer: Tokenizer) -> list[int]:
    """The pieces that may fill a gap: characters of the vocabulary, but no line end."""
    allowed = ~tokenizer.never_sampled & (tokenizer.byte_values < 0)
    allowed[tokenizer.newline_id] = False
    found: Ids = allowed.nonzero()[0]
    return [int(id_) for id_ in found]
