"""The first pass over a text: detect, read, count every character."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chargen.config import CorpusConfig
from chargen.corpus.reading import Source, open_source, read_sources
from chargen.corpus.tokenizer import CODE_POINTS, code_points
from chargen.errors import CorpusError


@dataclass(frozen=True)
class Progress:
    """How far a long job is.

    Attributes:
        phase: ``detect``, ``count`` or ``encode``.
        done, total: bytes of the sources.
    """

    phase: str
    done: int
    total: int


class Meter:
    """Sums bytes up and reports them as Progress of one phase after another."""

    def __init__(self, total: int, report: Callable[[Progress], None] | None) -> None:
        self.total = total
        self._report = report
        self._phase = ""
        self._done = 0

    def begin(self, phase: str) -> None:
        self._phase, self._done = phase, 0
        self.add(0)

    def add(self, byte_count: int) -> None:
        self._done = min(self._done + byte_count, self.total)
        if self._report:
            self._report(Progress(self._phase, self._done, self.total))


@dataclass(frozen=True)
class Survey:
    """What the first pass found: the files, read to their ends, and how often each character is."""

    sources: list[Source]
    counts: dict[str, int]

    @property
    def characters(self) -> int:
        return sum(self.counts.values())


def survey(paths: Sequence[Path], config: CorpusConfig, meter: Meter) -> Survey:
    """Read all of a text once.

    Raises:
        CorpusError: a file that can't be read or decoded, or a text from which nothing can be
            learnt: empty, white space alone, or one character over and over.
    """
    meter.begin("detect")
    sources = [open_source(path, config, meter.add) for path in paths]
    meter.begin("count")
    counts = count_characters(read_sources(sources, config, on_bytes=meter.add))
    _check_learnable(counts, paths)
    return Survey(sources, counts)


def count_characters(chunks: Iterable[str]) -> dict[str, int]:
    """How often each character occurs in all chunks, by code point."""
    counts: NDArray[np.int64] = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        found = np.bincount(code_points(chunk))
        counts[: len(found)] += found
    return {chr(point): int(counts[point]) for point in np.flatnonzero(counts)}


def same_text(survey: Survey, config: CorpusConfig, meter: Meter) -> Iterator[str]:
    """The text once more; CorpusError at its end if a file isn't what it was before."""
    again = [Source(source.path, source.detected) for source in survey.sources]
    yield from read_sources(again, config, on_bytes=meter.add)
    for before, after in zip(survey.sources, again, strict=True):
        if before.digest.digest() != after.digest.digest():
            raise CorpusError(
                f"{after.path} changed while it was read.", "Try again when it's whole."
            )


def _check_learnable(counts: dict[str, int], paths: Sequence[Path]) -> None:
    name = str(paths[0]) if len(paths) == 1 else f"The text of {len(paths)} files"
    if not counts:
        raise CorpusError(f"{name} is empty.", "Give a text with something to learn in it.")
    if "".join(counts).isspace():
        raise CorpusError(
            f"{name} is white space alone.", "Give a text with something to learn in it."
        )
    letters = [character for character in counts if character != "\n"]
    if len(letters) == 1:
        raise CorpusError(
            f"{name} has one distinct character, {letters[0]!r}, over and over.",
            "Give a text with at least two different ones.",
        )
