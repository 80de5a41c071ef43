"""Preparing a text by workers: each counts, encodes and verifies pieces of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.conversion import converter
from chargen.corpus.cutting import Piece
from chargen.corpus.reading import Source, read_chunks
from chargen.corpus.split_writer import verify_round_trip
from chargen.corpus.tokenizer import Tokenizer, code_points
from chargen.errors import ChargenError
from chargen.machine.allocator import MemoryKeeper
from chargen.options import CorpusConfig
from chargen.workers.messages import Hands, Items
from chargen.workers.pool import Pool

_SIGNS = ("\0", "\x1b$", "~{")
"""Signs of an encoding of two-byte units or of seven bits, in a text that was read as UTF-8."""
_BASIC = 0x10000


@dataclass(frozen=True)
class Counted:
    """What reading a piece has told.

    Attributes:
        source: as it was read, with what was found.
        last: its last character; empty if it has none.
        points, counts: (n,) the code points in it, and how often each occurs.
        plain: whether nothing in it needs a closer look at the encoding.
    """

    source: Source
    last: str
    points: NDArray[np.int64]
    counts: NDArray[np.int64]
    plain: bool


@dataclass(frozen=True)
class Encoded:
    """The pieces of a piece of text, as bytes; its characters, and the <unk> among them."""

    data: bytes
    characters: int
    unknown: int


@dataclass(frozen=True)
class Task:
    """A piece to count, or to encode where there is a model.

    Attributes:
        piece: the piece.
        errors: as of ``CorpusConfig``.
        model: of the tokenizer.
    """

    piece: Piece
    errors: str
    model: bytes | None = None


@dataclass(frozen=True)
class PrepareWork:
    """Counts or encodes pieces of files; an error of theirs is a result."""

    config: CorpusConfig

    def begin(self, threads: int) -> Hands:
        del threads  # all of it is one thread's work
        convert = None if self.config.convert == "none" else converter(self.config.convert)
        memory = MemoryKeeper()  # arrays of megabytes come and go with every chunk

        def do(tasks: Items) -> Iterator[tuple[int, Any]]:
            for position, task in enumerate(tasks):
                if task is None:
                    return
                try:
                    with memory.kept():
                        result: Any = _done(task, convert)
                except ChargenError as error:
                    result = error
                yield position, result

        return Hands(do, {})


def results_in_order(pool: Pool, tasks: Iterable[Task]) -> Iterator[Any]:
    """Yield the result of each task, in their order; few wait for an earlier one."""
    given, done = 0, {}

    def asked() -> Iterator[Task | None]:
        for number, task in enumerate(tasks):
            while number - given >= 3 * pool.size + 2:
                yield None
            yield task

    for number, result in pool.spread(asked()):
        done[number] = result
        while given in done:
            yield done.pop(given)
            given += 1


def _done(task: Task, convert: Callable[[str], str] | None) -> Counted | Encoded:
    piece = task.piece
    source = replace(piece.source, digest=None, start=piece.start, stop=piece.stop)
    chunks = read_chunks(source, task.errors, convert)
    if task.model is None:
        return _counted(chunks, source)
    tokenizer = _tokenizer(task.model)
    found, characters, unknown = [], 0, 0
    for text in chunks:
        ids = tokenizer.encode(text).astype(tokenizer.dtype)
        unknown += verify_round_trip(tokenizer, text, ids)
        characters += len(text)
        found.append(ids.tobytes())
    return Encoded(b"".join(found), characters, unknown)


def _counted(chunks: Iterator[str], source: Source) -> Counted:
    counts: NDArray[np.int64] = np.zeros(_BASIC, np.int64)
    last, plain = "", True
    for text in chunks:
        found = np.bincount(code_points(text), minlength=_BASIC)
        if len(found) > len(counts):
            counts, found = found, counts
        counts[: len(found)] += found
        plain = plain and not any(sign in text for sign in _SIGNS if _may_have(sign, counts))
        last = text[-1]
    points = np.flatnonzero(counts)
    return Counted(source, last, points, counts[points], plain)


def _may_have(sign: str, counts: NDArray[np.int64]) -> bool:
    """Whether all characters of ``sign`` have occurred: a search of the text takes longer."""
    return all(counts[ord(character)] for character in sign)


@lru_cache(1)
def _tokenizer(model: bytes) -> Tokenizer:
    return Tokenizer(model)
