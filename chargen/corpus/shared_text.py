"""The two passes over a text, its pieces read by workers: the same corpus as by one process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from chargen.corpus import cutting
from chargen.corpus.conversion import converter
from chargen.corpus.cutting import Piece, pieces_of
from chargen.corpus.detection import VALID_UTF8, codec_of_mark
from chargen.corpus.documents import kind_of
from chargen.corpus.identity import CorpusRequest
from chargen.corpus.manifest import TRAIN, VAL
from chargen.corpus.progress import ByteCounter
from chargen.corpus.reading import Source, open_source, read_chunks
from chargen.corpus.shared import Counted, Encoded, PrepareWork, Task, results_in_order
from chargen.corpus.sources import SourceFile, unreadable
from chargen.corpus.split_writer import SplitWriter, Written, verify_round_trip
from chargen.corpus.splitting import split_chunks, split_point
from chargen.corpus.survey import Survey, check_learnable, check_unchanged
from chargen.corpus.tokenizer import CODE_POINTS, Tokenizer
from chargen.errors import ChargenError
from chargen.options import CorpusConfig, WorkersConfig
from chargen.workers.starting import pool_of

_CHUNK_BYTES = 1 << 20
_LARGE = 4  # pieces of the usual size


@dataclass(frozen=True)
class _Part:
    """A piece of the text: where its characters stand in the whole.

    Attributes:
        piece: the piece.
        number: of its file.
        first, end: its characters.
        newline: whether a line end precedes it that is in no file.
    """

    piece: Piece
    number: int
    first: int
    end: int
    newline: bool

    @property
    def is_large(self) -> bool:
        """Whether it is too large for a worker to hold the ids of all of it."""
        return self.piece.size > _LARGE * cutting.PIECE_BYTES


@dataclass
class _Tally:
    """What the pieces of a file have told so far.

    Attributes:
        source: the file.
        counts: how often each character occurs.
        pieces: with the number of their characters, and the last of them.
        plain: see ``Counted``.
        error: the first one.
    """

    source: Source
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(CODE_POINTS, np.int64))
    pieces: list[tuple[Piece, int, str]] = field(default_factory=list)
    plain: bool = True
    error: ChargenError | None = None

    def add(self, piece: Piece, found: Counted | ChargenError) -> None:
        if not isinstance(found, Counted):
            self.error = self.error or found
            return
        self.counts[found.points] += found.counts
        self.pieces.append((piece, found.source.characters, found.last))
        self.plain &= found.plain
        for name in ("byte_count", "characters", "crlf", "cr", "replacements", "joined"):
            setattr(self.source, name, getattr(self.source, name) + getattr(found.source, name))
        self.source.mark_dropped |= found.source.mark_dropped


class SharedText:
    """A text that workers read, piece by piece. This process alone writes.

    Args:
        stack: ends the workers.
        workers: who they are.
        config: settings.
    """

    def __init__(self, stack: ExitStack, workers: WorkersConfig, config: CorpusConfig) -> None:
        self._config = config
        self._pool = pool_of(stack, workers, PrepareWork(config), {})
        self._parts: list[_Part] = []
        self._found: tuple[list[Source], dict[str, int]] | None = None

    def survey(self, request: CorpusRequest, counter: ByteCounter) -> Survey:
        """Count the characters, unless that was done; see ``survey.survey``."""
        if self._found is None:
            self.count(request.files, counter)
        sources, counts = self._found or ([], {})
        return Survey(sources, request.digests, counts)

    def count(self, files: Sequence[SourceFile], counter: ByteCounter) -> None:
        """Count the characters, for ``survey``.

        Most texts are UTF-8, which shows while they are read as such: only others are read once
        more, to detect what they are.
        """
        counts: NDArray[np.int64] = np.zeros(CODE_POINTS, np.int64)
        counter.begin("count")
        sources: list[Source] = []
        before: Source | None = None
        last, characters = "\n", 0
        for file in files:
            tally = self._read(file, counter)
            source = tally.source
            source.digest = None
            counts += tally.counts
            for piece, length, end in tally.pieces:
                newline = bool(end and last != "\n" and before is not source)
                if newline and before:
                    before.newline_added = True
                    counts[ord("\n")] += 1
                    characters += 1
                first, characters = characters, characters + length
                self._parts.append(_Part(piece, len(sources), first, characters, newline))
                if end:
                    before, last = source, end
            sources.append(source)
        whole = {chr(point): int(counts[point]) for point in np.flatnonzero(counts)}
        check_learnable(whole, files)
        self._found = sources, whole

    def _read(self, file: SourceFile, counter: ByteCounter) -> _Tally:
        """Count the pieces of a file, as UTF-8 if it may be that."""
        try:
            if self._config.encoding == "auto" and _may_be_utf8(file.path):
                source = open_source(file, self._config, detected=VALID_UTF8)
                tally = self._tally(source, "strict", counter)
                if tally.plain and tally.error is None:
                    return tally
        except OSError as error:
            raise unreadable(file.path, error) from error
        tally = self._tally(open_source(file, self._config), self._config.errors, counter)
        if tally.error:
            raise tally.error
        return tally

    def _tally(self, source: Source, errors: str, counter: ByteCounter) -> _Tally:
        tally = _Tally(source)
        pieces = list(pieces_of(source, whole_lines=self._config.convert != "none"))
        tasks = (Task(self._absolute(piece), errors) for piece in pieces)
        for piece, each in zip(pieces, results_in_order(self._pool, tasks), strict=True):
            counter.add(piece.size)
            tally.add(piece, each)
        return tally

    def _absolute(self, piece: Piece) -> Piece:
        """The piece as workers find it, elsewhere too."""
        file = replace(piece.source.file, path=piece.source.path.absolute())
        return replace(piece, source=replace(piece.source.again(), digest=None, file=file))

    def write(
        self,
        folder: Path,
        found: Survey,
        tokenizer: Tokenizer,
        config: CorpusConfig,
        counter: ByteCounter,
    ) -> Written:
        """Encode the text, and verify it; see ``writing.write_corpus``.

        The pieces near the cut between the splits are this process's own work, while workers go on
        with those behind it; so are large ones, whose ids a worker would have to hold.
        """
        target, reach = split_point(found.characters, config.val_frac)
        before = [part for part in self._parts if part.end < target - reach]
        after = [part for part in self._parts[len(before) :] if part.first > target + reach]
        near = self._parts[len(before) : len(self._parts) - len(after)]
        digests = [hashlib.sha256() for _ in found.sources]
        errors, model = self._config.errors, tokenizer.to_bytes()
        shared = [part for part in [*before, *after] if not part.is_large]
        tasks = (Task(self._absolute(part.piece), errors, model) for part in shared)
        with (folder / TRAIN).open("wb") as train_file, (folder / VAL).open("wb") as val_file:
            train, val = SplitWriter(train_file), SplitWriter(val_file)
            results = results_in_order(self._pool, tasks)
            done = _Encoding(results, self._text, tokenizer, digests, counter)
            unknown = done.write(before, train)
            cut = target - train.characters
            for is_val, text in split_chunks(self._text(near), cut, reach):
                unknown += done.encode(text, val if is_val else train)
            for part in near:
                done.note(part)
            unknown += done.write(after, val)
        again = [replace(s, digest=d) for s, d in zip(found.sources, digests, strict=True)]
        check_unchanged(found, again)
        return Written(train.split, val.split, {TRAIN: train.sha256, VAL: val.sha256}, unknown)

    def _text(self, parts: Sequence[_Part]) -> Iterator[str]:
        config = self._config
        convert = None if config.convert == "none" else converter(config.convert)
        for part in parts:
            if part.newline:
                yield "\n"
            piece = part.piece
            source = replace(piece.source.again(), digest=None, start=piece.start, stop=piece.stop)
            yield from read_chunks(source, config.errors, convert)


@dataclass(frozen=True)
class _Encoding:
    """Writes what workers encode.

    Attributes:
        results: of the parts that aren't large, in their order.
        text: reads parts.
        tokenizer: encodes those that are.
        digests: of the files.
        counter: of the bytes read.
    """

    results: Iterator[Any]
    text: Callable[[Sequence[_Part]], Iterator[str]]
    tokenizer: Tokenizer
    digests: Sequence[hashlib._Hash]
    counter: ByteCounter

    def write(self, parts: Sequence[_Part], writer: SplitWriter) -> int:
        """Write parts that lie in one split; the number of <unk>."""
        unknown = 0
        for part in parts:
            if part.is_large:
                unknown += sum(self.encode(text, writer) for text in self.text([part]))
            else:
                unknown += self._write_result(next(self.results), part, writer)
            self.note(part)
        return unknown

    def _write_result(self, found: Any, part: _Part, writer: SplitWriter) -> int:
        if not isinstance(found, Encoded):
            raise found
        if part.newline:
            self.encode("\n", writer)
        pieces = len(found.data) // self.tokenizer.dtype.itemsize
        writer.write_bytes(found.data, pieces, found.characters)
        return found.unknown

    def encode(self, text: str, writer: SplitWriter) -> int:
        """Encode and write a text; the number of <unk>."""
        ids = self.tokenizer.encode(text).astype(self.tokenizer.dtype)
        writer.write(ids, len(text))
        return verify_round_trip(self.tokenizer, text, ids)

    def note(self, part: _Part) -> None:
        """Hash and count the bytes of a part that is written."""
        with part.piece.source.path.open("rb") as file:
            file.seek(part.piece.start)
            for chunk in _chunks(file, part.piece.size):
                self.digests[part.number].update(chunk)
        self.counter.add(part.piece.size)


def _may_be_utf8(path: Path) -> bool:
    with path.open("rb") as file:
        return kind_of(path) is None and codec_of_mark(file.read(8)) is None


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(_CHUNK_BYTES, size))):
        size -= len(chunk)
        yield chunk
