"""Which files are meant: paths, folders of texts, names of shipped texts."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chargen.corpus.shipped import SHIPPED, find_text
from chargen.errors import CorpusError, system_error_text

_TEXT_SUFFIXES = frozenset({".txt", ".text", ".md"})
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True)
class SourceFile:
    """A text file to read.

    Attributes:
        path: where it is.
        name: what a corpus records of that: its path below the folder that was given, else its
            file name.
        size: in bytes.
    """

    path: Path
    name: str
    size: int


def find_sources(paths: Sequence[Path]) -> list[SourceFile]:
    """Find the text files that are meant by paths, in order.

    A folder stands for the text files in it, recursively and sorted; hidden files, binary files
    and prepared corpora are left out. The name of a shipped text stands for that text where no
    file or folder is called so.

    Raises:
        CorpusError: no path is given; a file is missing or is not a plain file; a folder has no
            text files.
    """
    if not paths:
        raise CorpusError("No text was given.", "Name one or more text files or folders.")
    found: list[SourceFile] = []
    for path in map(find_text, paths):
        status = _status(path)
        if stat.S_ISDIR(status.st_mode):
            inside = sorted(_texts_in(path))
            if not inside:
                raise CorpusError(
                    f"The folder {path} contains no text files.", "Name a file or another folder."
                )
            found += [_source_file(file, file.relative_to(path).as_posix()) for file in inside]
        elif stat.S_ISREG(status.st_mode):
            found.append(_source_file(path, path.name))
        else:
            raise CorpusError(
                f"{path} is not a plain file, and a text is read more than once.",
                "Save it to a file first.",
            )
    return found


def unreadable(path: Path, error: OSError | ValueError) -> CorpusError:
    """The error for a text that the operating system doesn't let us read."""
    what = system_error_text(error) if isinstance(error, OSError) else str(error)
    named = isinstance(error, OSError) and error.filename
    return CorpusError(
        f"Can't read a text: {what}{'' if named else f': {path}'}.",
        "Check the path and its permissions.",
    )


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        if path.name == str(path):
            raise CorpusError(
                f"There is no file, folder or shipped text {path}.",
                f"Name a text file, a folder of them, or a shipped text: {', '.join(SHIPPED)}.",
            ) from error
        raise unreadable(path, error) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(path, error) from error


def _source_file(path: Path, name: str) -> SourceFile:
    # A name that isn't UTF-8 can't be written in JSON as it stands.
    legible = name.encode("utf-8", "backslashreplace").decode()
    return SourceFile(path, legible, _status(path).st_size)


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
        raise unreadable(path, error) from error
    if not head or path.suffix.lower() in _TEXT_SUFFIXES:
        return bool(head)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    return b"\0" not in head and len(_CONTROLS.findall(head)) <= len(head) // 100
