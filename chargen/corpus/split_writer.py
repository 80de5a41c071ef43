"""Write the tokens of a split, and verify that they decode to their text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO

import numpy as np

from chargen.corpus.manifest import Split
from chargen.corpus.record_description import RecordsDescription
from chargen.corpus.tokenizer import Tokenizer, code_points
from chargen.corpus.tokens import Tokens
from chargen.errors import CorpusError


@dataclass(frozen=True)
class Written:
    """What was written of a surveyed text.

    Attributes:
        train, val: characters and pieces of the splits.
        files: the SHA-256 of each file.
        unknown: the <unk> among the pieces.
        records: the records that were written, if the text consists of them.
    """

    train: Split
    val: Split
    files: dict[str, str]
    unknown: int
    records: RecordsDescription | None = None


class SplitWriter:
    """Writes tokens to a file, and counts and hashes them."""

    def __init__(self, file: IO[bytes]) -> None:
        self.characters = 0
        self._pieces = 0
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, ids: Tokens, characters: int) -> None:
        self.write_bytes(ids.tobytes(), len(ids), characters)

    def write_bytes(self, data: bytes, pieces: int, characters: int) -> None:
        """Write ids as the bytes of an array."""
        self._file.write(data)
        self._digest.update(data)
        self._pieces += pieces
        self.characters += characters

    @property
    def split(self) -> Split:
        return Split(self.characters, self._pieces)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def verify_round_trip(tokenizer: Tokenizer, text: str, ids: Tokens) -> int:
    """Count the <unk> in ``ids``; CorpusError unless all else decodes to exactly ``text``."""
    decoded = tokenizer.decode(ids)
    if decoded == text and tokenizer.has_bytes:
        return 0
    known = ids != tokenizer.unk_id
    if tokenizer.has_bytes or not len(decoded) == len(text) == len(ids):
        raise lossy()
    if not np.array_equal(code_points(decoded)[known], code_points(text)[known]):
        raise lossy()
    return int((~known).sum())


def lossy() -> CorpusError:
    """The error for tokens that don't stand for their text."""
    return CorpusError(
        "The tokens don't decode to the text that they were made from; nothing was written.",
        "This is a defect of chargen: please report it, with the text.",
    )
