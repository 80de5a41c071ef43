"""Read files as clean text, in bounded memory: decode, drop byte order marks, make line ends LF.

Wrapped lines are joined, and Chinese is converted, where the settings ask for it. Nothing else
changes: form feeds, U+0085, U+2028 and a byte order mark inside a text are ordinary
characters.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargen.corpus.conversion import converted, converter
from chargen.corpus.detection import CHUNK_BYTES, Detected, check_codec, detect
from chargen.corpus.documents import NAMES, READABLE, kind_of, no_text, read_document
from chargen.corpus.line_ends import with_line_feeds
from chargen.corpus.sources import SourceFile, find_sources, unreadable
from chargen.corpus.unwrapping import SAMPLE_CHARACTERS, Wrapping, recognise, unwrapped
from chargen.errors import CorpusError
from chargen.options import CorpusConfig

if TYPE_CHECKING:
    from hashlib import _Hash

# What an undecodable byte becomes at first. No strict decoder yields a lone surrogate, so these can
# be told from a U+FFFD that the source itself contains.
_MARKER = "\udfff"
_HANDLER = "chargen-mark"
_SURROGATES = re.compile("[\ud800-\udfff]")

# Decoders that drop a byte order mark themselves.
_MARK_DROPPERS = frozenset({"utf-8-sig", "utf-16", "utf-32"})


def _mark_error(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARKER, error.end


codecs.register_error(_HANDLER, _mark_error)


@dataclass
class Source:
    """A text file with its encoding, and what was found by reading it.

    Attributes:
        file: the file.
        detected: its encoding.
        digest: SHA-256 of the bytes read so far; None if they are not to be hashed.
        byte_count: bytes read so far.
        characters: of its clean text, without a line end added after it.
        mark_dropped: it began with a byte order mark.
        crlf, cr: line ends that became LF.
        replacements: undecodable byte sequences that became U+FFFD.
        newline_added: a line end was added after it, before the next file.
        document: its kind, where it is a PDF, DOCX or EPUB.
        wrapping: how its lines are wrapped, and are to be joined; None: they stay as they are.
        joined: lines that were joined to the ones before.
        start, stop: the bytes to read; None: to the end.
    """

    file: SourceFile
    detected: Detected
    digest: _Hash | None = field(default_factory=hashlib.sha256)
    byte_count: int = 0
    characters: int = 0
    mark_dropped: bool = False
    crlf: int = 0
    cr: int = 0
    replacements: int = 0
    newline_added: bool = False
    document: str | None = None
    wrapping: Wrapping | None = None
    joined: int = 0
    start: int = 0
    stop: int | None = None

    @property
    def path(self) -> Path:
        return self.file.path

    def again(self) -> Source:
        """The same file, to be read once more."""
        return Source(self.file, self.detected, document=self.document, wrapping=self.wrapping)

    def add_joined(self, count: int) -> None:
        self.joined += count

    def add_replaced(self, count: int) -> None:
        self.replacements += count


def open_source(
    file: SourceFile,
    config: CorpusConfig,
    on_bytes: Callable[[int], None] | None = None,
    detected: Detected | None = None,
) -> Source:
    """Determine how to read a file: its encoding, and whether its lines are wrapped.

    ``detected`` is its encoding where that is known.

    Raises:
        CorpusError: the file can't be read or doesn't look like text, or the encoding that
            ``config`` names is unknown.
    """
    try:
        kind = kind_of(file.path)
        if kind in READABLE:
            about = Detected(kind, True, f"the text of {NAMES[kind]}")
            source = Source(file, about, document=kind)
        elif kind:
            raise no_text(file.path, kind)
        else:
            source = Source(file, detected or _detected(file, config, on_bytes))
    except OSError as error:
        raise unreadable(file.path, error) from error
    if config.unwrap != "no":
        source.wrapping = recognise(_beginning(source), insist=config.unwrap == "yes")
    return source


def _detected(
    file: SourceFile, config: CorpusConfig, on_bytes: Callable[[int], None] | None
) -> Detected:
    if config.encoding != "auto":
        return Detected(check_codec(config.encoding), True, "named")
    detected = detect(file.path, on_bytes)
    if detected is None and config.errors == "replace":
        detected = Detected("utf-8", False, "not recognised, read as UTF-8")
    if detected is None:
        raise CorpusError(
            f"The encoding of {file.path} is not recognised; it may not be a text.",
            'Name it with `encoding`; for a damaged text, add `errors="replace"`.',
        )
    return detected


def _beginning(source: Source) -> str:
    """The first whole lines of a file, however damaged."""
    copy, text = replace(source, digest=None), ""
    try:
        with closing(_decoded(copy, "replace", CHUNK_BYTES, None)) as decoded:
            for chunk in with_line_feeds(decoded, copy):
                text += chunk
                if len(text) > SAMPLE_CHARACTERS:
                    return text[: text.rfind("\n", 0, SAMPLE_CHARACTERS) + 1]
    except OSError as error:
        raise unreadable(source.path, error) from error
    return text


def read_chunks(
    source: Source,
    errors: str = "strict",
    convert: Callable[[str], str] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    on_bytes: Callable[[int], None] | None = None,
) -> Generator[str]:
    """Read the clean text of a file in chunks, none of them empty.

    Raises:
        CorpusError: a byte can't be decoded, the text has a lone surrogate, or the file can't be
            read.
    """
    try:
        decoded = _decoded(source, errors, chunk_bytes, on_bytes)
        clean: Iterable[str] = with_line_feeds(decoded, source)
        if source.wrapping:
            clean = unwrapped(clean, source.wrapping, source.add_joined)
        if convert:
            clean = converted(clean, convert)
        for text in clean:
            source.characters += len(text)
            yield text
    except OSError as error:
        raise unreadable(source.path, error) from error


def read_sources(
    sources: Sequence[Source],
    config: CorpusConfig,
    chunk_bytes: int = CHUNK_BYTES,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[str]:
    """Read the clean texts of several files as one; a line end separates each from the next."""
    convert = None if config.convert == "none" else converter(config.convert)
    before: Source | None = None
    last = "\n"
    for source in sources:
        for text in read_chunks(source, config.errors, convert, chunk_bytes, on_bytes):
            if before is not None and before is not source and last != "\n":
                before.newline_added = True
                yield "\n"
            before, last = source, text[-1]
            yield text


def read_text(path: str | Path, config: CorpusConfig | None = None) -> str:
    """Read the clean text of a file into one string; for texts that fit in memory."""
    config = config or CorpusConfig()
    [file] = find_sources([Path(path)])
    return "".join(read_sources([open_source(file, config)], config))


def _decoded(
    source: Source, errors: str, chunk_bytes: int, on_bytes: Callable[[int], None] | None
) -> Generator[str]:
    if source.document:
        _note_bytes(source, on_bytes)
        replaced = None if errors == "strict" else source.add_replaced
        yield from read_document(source.path, source.document, replaced)
        return
    codec = source.detected.codec
    handler = "strict" if errors == "strict" else _HANDLER
    decoder = codecs.getincrementaldecoder(codec)(handler)
    may_be_mark = source.start == 0 and codecs.lookup(codec).name not in _MARK_DROPPERS
    with source.path.open("rb") as file:
        final, left = False, sys.maxsize
        if source.stop is not None:
            file.seek(source.start)
            left = source.stop - source.start
        while not final:
            chunk = file.read(min(chunk_bytes, left))
            left -= len(chunk)
            final = not chunk
            if source.digest:
                source.digest.update(chunk)
            source.byte_count += len(chunk)
            try:
                text = decoder.decode(chunk, final)
            except UnicodeError as error:
                raise _undecodable(source, error) from error
            text = _without_surrogates(text, source, errors)
            if text and may_be_mark:
                may_be_mark = False
                source.mark_dropped = text[0] == "\ufeff"
                text = text[source.mark_dropped :]
            if text:
                yield text
            if chunk and on_bytes:
                on_bytes(len(chunk))


def _note_bytes(source: Source, on_bytes: Callable[[int], None] | None) -> None:
    """Hash the bytes of a document as those of a text are."""
    with source.path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if source.digest:
                source.digest.update(chunk)
            source.byte_count += len(chunk)
            if on_bytes:
                on_bytes(len(chunk))


def _without_surrogates(text: str, source: Source, errors: str) -> str:
    try:
        text.encode("utf-16-le")
    except UnicodeEncodeError as error:
        if errors == "strict":
            code = ord(text[error.start])
            raise CorpusError(
                f"{source.path}, read as {source.detected.codec}, contains the lone surrogate "
                f"U+{code:04X}, which is not a character.",
                'Read it as U+FFFD with `errors="replace"`, or name another `encoding`.',
            ) from error
        text, count = _SURROGATES.subn("\ufffd", text)
        source.replacements += count
    return text


def _undecodable(source: Source, error: UnicodeError) -> CorpusError:
    codec = source.detected.codec
    remedy = 'Read such bytes as U+FFFD with `errors="replace"`, or name another `encoding`.'
    if not isinstance(error, UnicodeDecodeError):
        return CorpusError(f"{source.path} can't be decoded as {codec}: {error}.", remedy)
    # The error's object is what was left over from the chunk before, followed by this chunk.
    offset = source.start + source.byte_count - len(error.object) + error.start
    bad = error.object[error.start : error.end].hex(" ")
    guess = "" if source.detected.sure else f" (detected, but not certain: {source.detected.note})"
    return CorpusError(
        f"{source.path} doesn't decode as {codec}{guess}: {bad} at byte offset {offset}.", remedy
    )
