"""The first pass over a text: detect, read, count every character."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.identity import CorpusRequest
from chargen.corpus.progress import ByteCounter
from chargen.corpus.reading import Source, open_source, read_sources
from chargen.corpus.record_description import RecordsDescription
from chargen.corpus.sources import SourceFile
from chargen.corpus.tokenizer import CODE_POINTS, code_points
from chargen.errors import CorpusError
from chargen.options import CorpusConfig


@dataclass(frozen=True)
class Survey:
    """What the first pass found.

    Attributes:
        sources: the files, read to their ends.
        digests: the SHA-256 that each file had before that.
        counts: how often each character occurs.
        records: the records that they consist of, if they do.
    """

    sources: list[Source]
    digests: tuple[str, ...]
    counts: dict[str, int]
    records: RecordCounts | None = None

    @property
    def characters(self) -> int:
        """Characters of the whole text; the end of a record is one."""
        return sum(self.counts.values()) + (self.records.ends if self.records else 0)


@dataclass
class RecordCounts:
    """How many records there are, and with which labels.

    Attributes:
        kind: ``lines``, ``labels`` or ``pairs``.
        keys: the keys of labels.
        labels: of each key, how often each value occurs in training; 0 of one that occurs only
            in validation.
        train, val: records of the two splits.
        blanks_dropped: whether blanks between all characters of pairs were left out.
    """

    kind: str
    keys: tuple[str, ...]
    labels: tuple[Counter[str], ...]
    train: int = 0
    val: int = 0
    blanks_dropped: bool = False

    @property
    def ends(self) -> int:
        """Ends of texts: two a pair, else one a record."""
        return (self.train + self.val) * (2 if self.kind == "pairs" else 1)

    @property
    def values(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Of each key, its values and their counts, the most frequent first."""
        return tuple(
            tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
            for counts in self.labels
        )

    def described(self, longest: int) -> RecordsDescription:
        """What a manifest says of them; ``longest`` is that of the longest text in pieces."""
        return RecordsDescription(
            kind=self.kind,
            keys=self.keys,
            values=self.values,
            train=self.train,
            val=self.val,
            longest=longest,
            blanks_dropped=self.blanks_dropped,
        )


def survey(request: CorpusRequest, counter: ByteCounter) -> Survey:
    """Read a whole text once, and count its characters.

    Nothing is hashed here: that the files still are what they were, ``same_text`` tells.

    Raises:
        CorpusError: a file can't be read or decoded, or nothing can be learnt from the text: it
            is empty, only white space, or one character repeated.
    """
    counter.begin("detect")
    sources = [open_source(file, request.config, counter.add) for file in request.files]
    for source in sources:
        source.digest = None
    counter.begin("count")
    counts = count_characters(read_sources(sources, request.config, on_bytes=counter.add))
    check_learnable(counts, request.files)
    return Survey(sources, request.digests, counts)


def count_characters(chunks: Iterable[str]) -> dict[str, int]:
    """Count how often each character occurs in all chunks, in the order of code points."""
    counts: NDArray[np.int64] = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        found = np.bincount(code_points(chunk))
        counts[: len(found)] += found
    return {chr(point): int(counts[point]) for point in np.flatnonzero(counts)}


def same_text(found: Survey, config: CorpusConfig, counter: ByteCounter) -> Iterator[str]:
    """Read the text once more; CorpusError at its end if a file has changed since it was hashed."""
    again = [source.again() for source in found.sources]
    yield from read_sources(again, config, on_bytes=counter.add)
    check_unchanged(found, again)


def check_unchanged(found: Survey, again: Iterable[Source]) -> None:
    """Raise CorpusError where a file, read once more, isn't what it was when it was hashed."""
    for before, after in zip(found.digests, again, strict=True):
        if after.digest and after.digest.hexdigest() != before:
            raise CorpusError(
                f"{after.path} changed while it was read.", "Try again once it is complete."
            )


def check_learnable(counts: dict[str, int], files: Sequence[SourceFile]) -> None:
    """Raise CorpusError where a text is empty, white space, or one character repeated."""
    name = str(files[0].path) if len(files) == 1 else f"The text of {len(files)} files"
    if not counts:
        raise CorpusError(f"{name} is empty.", "Give a text with something to learn in it.")
    if "".join(counts).isspace():
        raise CorpusError(
            f"{name} contains only white space.", "Give a text with something to learn in it."
        )
    letters = [character for character in counts if character != "\n"]
    if len(letters) == 1:
        raise CorpusError(
            f"{name} has only one distinct character, {letters[0]!r}.",
            "Give a text with at least two different ones.",
        )
