"""Files to clean text, in bounded memory: decoded, line ends made LF, byte order marks dropped.

Nothing else changes: form feeds, U+0085, U+2028 and a byte order mark inside a text are characters
like any other.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chargen.config import CorpusConfig
from chargen.corpus.conversion import converted, converter
from chargen.corpus.detection import CHUNK_BYTES, Detected, check_codec, detect
from chargen.errors import CorpusError, system_error_text

if TYPE_CHECKING:
    from hashlib import _Hash

_TEXT_SUFFIXES = frozenset({".txt", ".text", ".md"})
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

# What a byte that doesn't decode becomes at first: no strict decoder yields a lone surrogate, so
# these can be counted apart from a U+FFFD of the source itself.
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
    """One text file, and what reading it to its end has told.

    Attributes:
        path: the file.
        detected: its encoding.
        digest: SHA-256 of its bytes, so far as they were read.
        byte_count: bytes read.
        characters: characters of its clean text, the line end added after it not among them.
        mark_dropped: it began with a byte order mark.
        crlf, cr: line ends that became LF.
        replacements: bad byte sequences that became U+FFFD.
        newline_added: a line end was put between it and the next file.
    """

    path: Path
    detected: Detected
    digest: _Hash = field(default_factory=hashlib.sha256)
    byte_count: int = 0
    characters: int = 0
    mark_dropped: bool = False
    crlf: int = 0
    cr: int = 0
    replacements: int = 0
    newline_added: bool = False


def find_sources(paths: Sequence[Path]) -> list[Path]:
    """Files as they are given; folders as their text files, recursively and in sorted order.

    Hidden files, binary files and prepared corpora inside a folder are passed over.

    Raises:
        CorpusError: nothing given, a file that is missing or isn't a regular one, a folder
            without text.
    """
    if not paths:
        raise CorpusError("No text was given.", "Name one or more text files or folders.")
    found: list[Path] = []
    for path in map(Path, paths):
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise _unreadable(path, error) from error
        if stat.S_ISDIR(mode):
            inside = sorted(_texts_in(path))
            if not inside:
                raise CorpusError(
                    f"The folder {path} has no text files in it.", "Name a file or another folder."
                )
            found.extend(inside)
        elif stat.S_ISREG(mode):
            found.append(path)
        else:
            raise CorpusError(
                f"{path} is not a regular file, and a text is read more than once.",
                "Save it to a file first.",
            )
    return found


def open_source(
    path: Path, config: CorpusConfig, on_bytes: Callable[[int], None] | None = None
) -> Source:
    """The file ``path`` with its encoding detected, or as ``config`` names it.

    Raises:
        CorpusError: it can't be read, is like no text, or the named encoding is unknown.
    """
    if config.encoding != "auto":
        return Source(path, Detected(check_codec(config.encoding), True, "named"))
    try:
        detected = detect(path, on_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error
    if detected is None and config.errors == "replace":
        detected = Detected("utf-8", False, "not recognised, taken for UTF-8")
    if detected is None:
        raise CorpusError(
            f"The encoding of {path} is not recognised; it may be no text.",
            "Name it with --encoding (add --errors replace for a damaged text).",
        )
    return Source(path, detected)


def read_chunks(
    source: Source,
    errors: str = "strict",
    convert: Callable[[str], str] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[str]:
    """The clean text of one file, chunk by chunk; none of them is empty.

    Raises:
        CorpusError: a byte that doesn't decode, or a lone surrogate; the file can't be read.
    """
    try:
        decoded = _decoded(source, errors, chunk_bytes, on_bytes)
        clean: Iterable[str] = _with_line_feeds(decoded, source)
        if convert:
            clean = converted(clean, convert)
        for text in clean:
            source.characters += len(text)
            yield text
    except OSError as error:
        raise _unreadable(source.path, error) from error


def read_sources(
    sources: Sequence[Source],
    config: CorpusConfig,
    chunk_bytes: int = CHUNK_BYTES,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[str]:
    """The clean texts of several files as one; a line end separates each from the next."""
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
    """All of one file's clean text in one string; for texts that fit in memory."""
    config = config or CorpusConfig()
    [file] = find_sources([Path(path)])
    return "".join(read_sources([open_source(file, config)], config))


def _texts_in(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        if "manifest.json" in names and "tokenizer.model" in names:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file() and _looks_like_text(path):
                yield path


def _looks_like_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(8192)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not head or path.suffix.lower() in _TEXT_SUFFIXES:
        return bool(head)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    return b"\0" not in head and len(_CONTROLS.findall(head)) <= len(head) // 100


def _decoded(
    source: Source, errors: str, chunk_bytes: int, on_bytes: Callable[[int], None] | None
) -> Iterator[str]:
    codec = source.detected.codec
    handler = "strict" if errors == "strict" else _HANDLER
    decoder = codecs.getincrementaldecoder(codec)(handler)
    may_be_mark = codecs.lookup(codec).name not in _MARK_DROPPERS
    with source.path.open("rb") as file:
        final = False
        while not final:
            chunk = file.read(chunk_bytes)
            final = not chunk
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


def _without_surrogates(text: str, source: Source, errors: str) -> str:
    try:
        text.encode("utf-16-le")
    except UnicodeEncodeError as error:
        if errors == "strict":
            code = ord(text[error.start])
            raise CorpusError(
                f"{source.path} holds the lone surrogate U+{code:04X}, read as "
                f"{source.detected.codec}, which is no character.",
                "Pass --errors replace to read it as U+FFFD, or name another --encoding.",
            ) from error
        text, count = _SURROGATES.subn("\ufffd", text)
        source.replacements += count
    return text


def _with_line_feeds(chunks: Iterable[str], source: Source) -> Iterator[str]:
    held = ""  # a CR at the end of a chunk: its LF may come with the next
    for chunk in chunks:
        text = held + chunk
        held = "\r" if text.endswith("\r") else ""
        if text := _line_feeds(text.removesuffix("\r"), source):
            yield text
    if held:
        source.cr += 1
        yield "\n"


def _line_feeds(text: str, source: Source) -> str:
    if "\r" not in text:
        return text
    crlf = text.count("\r\n")
    source.crlf += crlf
    source.cr += text.count("\r") - crlf
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _undecodable(source: Source, error: UnicodeError) -> CorpusError:
    codec = source.detected.codec
    remedy = "Pass --errors replace to read such bytes as U+FFFD, or name another --encoding."
    if not isinstance(error, UnicodeDecodeError):
        return CorpusError(f"{source.path} can't be decoded as {codec}: {error}.", remedy)
    # The error's object ends where reading has come to, and begins with what was left over.
    offset = source.byte_count - len(error.object) + error.start
    bad = error.object[error.start : error.end].hex(" ")
    guess = "" if source.detected.sure else f" (detected, not surely: {source.detected.note})"
    return CorpusError(
        f"{source.path} doesn't decode as {codec}{guess}: {bad} at byte offset {offset}.", remedy
    )


def _unreadable(path: Path, error: OSError) -> CorpusError:
    return CorpusError(
        f"Can't read a text: {system_error_text(error)}"
        + ("" if error.filename else f": {path}")
        + ".",
        "Check the path and its permissions.",
    )
