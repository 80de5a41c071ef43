"""Documents: what is no plain text is recognised by its first bytes, and read or refused.

PDF is read with pypdf, DOCX and EPUB with lxml (the extra ``documents``).
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TypeAlias

from chargen.errors import CorpusError, MissingExtraError

_HEAD_BYTES = 4096

_SIGNATURES = (
    (0, b"%PDF-", "pdf"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"{\\rtf", "rtf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"),
    (60, b"BOOKMOBI", "mobi"),
    (0, b"\x1f\x8b", "gzip"),
    (4, b"1AY&SY", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"),
    (257, b"ustar", "tar"),
    (0, b"\x89PNG\r\n", "picture"),
    (0, b"\xff\xd8\xff", "picture"),
    (0, b"GIF89a", "picture"),
    (0, b"GIF87a", "picture"),
    (0, b"\x7fELF", "program"),
    (0, b"SQLite format 3\x00", "database"),
)
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!doctype\s+html|<html[\s>])", re.I
)
_PARTS = (
    ("word/document.xml", "docx"),
    ("META-INF/container.xml", "epub"),
    ("xl/workbook.xml", "table"),
    ("ppt/presentation.xml", "slides"),
    ("content.xml", "odt"),
)

NAMES = {
    "pdf": "a PDF document",
    "docx": "a Word document (DOCX)",
    "epub": "an EPUB book",
    "zip": "a ZIP archive",
    "rtf": "an RTF document",
    "doc": "an old Office document",
    "odt": "an OpenDocument text",
    "table": "an Excel workbook",
    "slides": "a PowerPoint presentation",
    "mobi": "a Kindle book",
    "gzip": "a gzip file",
    "bzip2": "a bzip2 file",
    "xz": "an xz file",
    "zstd": "a Zstandard file",
    "7z": "a 7z archive",
    "rar": "a RAR archive",
    "tar": "a tar archive",
    "picture": "a picture",
    "program": "a program",
    "database": "a database",
}
_COMMANDS = {
    "pdf": "pdftotext {file} {text}",
    "docx": "pandoc -t plain {file} -o {text}",
    "epub": "pandoc -t plain {file} -o {text}",
    "rtf": "pandoc -t plain {file} -o {text}",
    "odt": "pandoc -t plain {file} -o {text}",
    "html": "pandoc -t plain {file} -o {text}",
    "mobi": "ebook-convert {file} {text}",
    "zip": "unzip {file}",
    "gzip": "gunzip -k {file}",
    "bzip2": "bunzip2 -k {file}",
    "xz": "unxz -k {file}",
    "zstd": "unzstd {file}",
    "7z": "7z x {file}",
    "rar": "unrar x {file}",
    "tar": "tar -xf {file}",
}
"""For each kind, the command that makes a text of it, or unpacks it."""
READABLE = ("pdf", "docx", "epub")
"""The kinds that are read."""


Replaced: TypeAlias = Callable[[int], None]
"""Is told how many undecodable bytes became U+FFFD."""


@dataclass(frozen=True)
class _Reader:
    package: str
    read: Callable[[Path, Replaced | None], Iterator[str]]


def kind_of(path: Path) -> str | None:
    """Recognise a document or another file that isn't plain text; None: it may be one.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for place, signature, kind in _SIGNATURES:
        if head[place : place + len(signature)] == signature:
            return _kind_of_archive(path) if kind == "zip" else kind
    return None


def is_html(path: Path) -> bool:
    """Whether a file is a page in HTML, whose tags would be learnt with its text."""
    with path.open("rb") as file:
        return _HTML.match(file.read(_HEAD_BYTES)) is not None


def _kind_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "zip"
    return next((kind for part, kind in _PARTS if part in names), "zip")


def command_for(kind: str, name: str) -> str:
    """The command that makes a text of a file called ``name``, or a sentence where none does."""
    if kind in ("doc", "table", "slides"):
        return "Save it as plain text, for example with LibreOffice, and name that."
    if kind not in _COMMANDS:
        return "Name a text file."
    stem = (name.rpartition(".")[0] or name) + ("-text" if name.endswith(".txt") else "")
    command = _COMMANDS[kind].format(file=quote(name), text=quote(f"{stem}.txt"))
    return f"Make a text of it with `{command}`, and name that."


def no_text(path: Path, kind: str) -> CorpusError:
    """The error for a file that is something else than a text."""
    return CorpusError(f"{path} is {NAMES[kind]}, not a text.", command_for(kind, path.name))


def read_document(path: Path, kind: str, replaced: Replaced | None = None) -> Iterator[str]:
    """Read the text of a PDF, DOCX or EPUB in parts, each ending in a line end.

    Bytes that can't be decoded become U+FFFD, of which ``replaced`` is told; None: are an error.

    Raises:
        CorpusError: it is damaged, encrypted, too large, or has no text.
        MissingExtraError: the package that reads it is not installed.
    """
    reader = _READERS[kind]
    empty = True
    try:
        for part in reader.read(path, replaced):
            # A document may hold code points that no text can be encoded with.
            clean = part.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
            if clean.strip():
                empty = False
                yield clean.rstrip() + "\n"
    except ImportError as error:
        missing = MissingExtraError(reader.package, "documents", f"{path.name}, {NAMES[kind]},")
        missing.remedy += f" Or: {command_for(kind, path.name)}"
        raise missing from error
    except (CorpusError, OSError, MemoryError):
        raise
    except Exception as error:  # these packages raise errors of many kinds on damaged files
        raise CorpusError(
            f"{path}, {NAMES[kind]}, can't be read: {str(error) or type(error).__name__}.",
            command_for(kind, path.name),
        ) from error
    if empty:
        raise CorpusError(
            f"{path}, {NAMES[kind]}, has no text in it: perhaps it is made of pictures.",
            "Recognise its text first, for example with `ocrmypdf`.",
        )


def _pdf(path: Path, _: Replaced | None) -> Iterator[str]:
    from pypdf import PdfReader

    with _quiet():
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise CorpusError(f"{path} is encrypted.", "Save it without a password, and name that.")
        count = len(reader.pages)
    for number in range(count):
        with _quiet():
            text = reader.pages[number].extract_text()
        yield text


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence pypdf: of harmless faults there are many, in many documents."""
    log = logging.getLogger("pypdf")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _docx(path: Path, _: Replaced | None) -> Iterator[str]:
    from chargen.corpus.docx import blocks

    return blocks(path)


def _epub(path: Path, replaced: Replaced | None) -> Iterator[str]:
    from chargen.corpus.epub import chapters

    return chapters(path, replaced)


_READERS = {
    "pdf": _Reader("pypdf", _pdf),
    "docx": _Reader("lxml", _docx),
    "epub": _Reader("lxml", _epub),
}
