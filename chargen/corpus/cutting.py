"""Cutting a text file into pieces at whole characters, without reading all of it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chargen.corpus.detection import FAMILIES
from chargen.corpus.reading import Source

PIECE_BYTES = 1 << 23
_NEAR_BYTES = 1 << 20
_OF_FAMILIES = frozenset(codecs.lookup(codec).name for family in FAMILIES for codec in family)


@dataclass(frozen=True)
class Piece:
    """Some bytes of a file that are whole characters.

    Attributes:
        source: how the file is read.
        start, stop: the first byte, and the one after the last.
    """

    source: Source
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


def pieces_of(source: Source, *, whole_lines: bool, size: int | None = None) -> Iterator[Piece]:
    """Cut a file into pieces of about ``size`` bytes, by default 8 MiB.

    A file that can't be read from its middle is one piece: a document, wrapped lines that are to be
    joined, a codec of two-byte units or with a memory.

    Args:
        source: the file.
        whole_lines: whether to cut after line ends alone.
        size: bytes of a piece.
    """
    size = size or PIECE_BYTES
    start, end = 0, source.path.stat().st_size
    codec = "" if source.document else codecs.lookup(source.detected.codec).name
    if codec and source.wrapping is None and (codec == "utf-8" or _can_be_cut(codec)):
        by_lines = whole_lines or codec != "utf-8"
        for target in range(size, end - size // 2, size):
            cut = _cut(source.path, target, by_lines=by_lines)
            if cut is not None and start < cut < end:
                yield Piece(source, start, cut)
                start = cut
    yield Piece(source, start, end)


@cache
def _can_be_cut(codec: str) -> bool:
    """Whether a codec has no memory, and the byte 10 is a line end and nothing else."""
    if codec in _OF_FAMILIES:
        return True
    decoder = codecs.lookup(codec).incrementaldecoder
    if getattr(decoder, "__bases__", None) != (codecs.IncrementalDecoder,):
        return False  # it keeps bytes, or a state
    text = bytes(range(256)).decode(codec, "replace")
    return len(text) == 256 and text.find("\n") == text.rfind("\n") == 10


def _cut(path: Path, target: int, *, by_lines: bool) -> int | None:
    """The first place from ``target`` on at which a character ends; None: none is near."""
    with path.open("rb") as file:
        file.seek(target - 1)
        data = file.read(_NEAR_BYTES if by_lines else 16)
    if by_lines:
        found = data.find(b"\n")
        return None if found < 0 else target + found
    for n in range(1, len(data)):
        if data[n] & 0xC0 != 0x80 and data[n - 1 : n + 1] != b"\r\n":
            return target - 1 + n
    return None
