"""Which files are meant: paths, folders of texts, names of shipped texts."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chargen.corpus.folders import FolderTexts, texts_in
from chargen.corpus.shipped import SHIPPED, find_text
from chargen.errors import CorpusError, system_error_text

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(?=.)")
_PATTERN = re.compile(r"[*?[]")


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

    A folder stands for the text files in it, recursively and sorted; see ``texts_in``. The name
    of a shipped text stands for that text where no file or folder is called so.

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
            inside = _texts_in(path)
            if not inside.taken:
                what = f" (passed over: {inside})" if inside.passed_over else ""
                raise CorpusError(
                    f"The folder {path} contains no text files{what}.",
                    "Name a file or another folder.",
                )
            found += [
                _source_file(file, file.relative_to(path).as_posix()) for file in inside.taken
            ]
        elif stat.S_ISREG(status.st_mode):
            found.append(_source_file(path, path.name))
        else:
            raise CorpusError(
                f"{path} is not a plain file, and a text is read more than once.",
                "Save it to a file first.",
            )
    return found


def passed_over(paths: Sequence[Path]) -> list[str]:
    """Report what was passed over in each folder among ``paths``, one line each."""
    found = [(path, _texts_in(path)) for path in map(find_text, paths) if path.is_dir()]
    return [f"Passed over in {path}: {inside}." for path, inside in found if inside.passed_over]


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
        _refuse_no_path(path)
        if path.name == str(path):
            raise CorpusError(
                f"There is no file, folder or shipped text {path}.",
                f"Name a text file, a folder of them, or a shipped text: {', '.join(SHIPPED)}.",
            ) from error
        raise unreadable(path, error) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(path, error) from error


def _refuse_no_path(path: Path) -> None:
    """Raise CorpusError for an address, and for a pattern, neither of which is a file."""
    if _ADDRESS.match(str(path)):
        address = _ADDRESS.sub(r"\1://", str(path), count=1)  # of whose slashes a path keeps one
        raise CorpusError(
            f"{address} is an address, and only files are read.",
            f"Download it, for example with `curl -LO {address}`, and name the file.",
        )
    if not _PATTERN.search(str(path)):
        return
    try:
        matching = sorted(Path().glob(str(path))) if not path.is_absolute() else []
    except (OSError, ValueError, IndexError):
        matching = []
    if matching:
        raise CorpusError(
            f"There is no file {path}; as a pattern, it matches {len(matching):,} files.",
            "Write it without quotes, so that the shell replaces it by their names.",
        )
    raise CorpusError(
        f"No file matches the pattern {path}.",
        "Check the folder and the ending; patterns are relative to the current folder.",
    )


def _texts_in(folder: Path) -> FolderTexts:
    try:
        return texts_in(folder)
    except OSError as error:
        raise unreadable(folder, error) from error


def _source_file(path: Path, name: str) -> SourceFile:
    # A name that isn't UTF-8 can't be written in JSON as it stands.
    legible = name.encode("utf-8", "backslashreplace").decode()
    return SourceFile(path, legible, _status(path).st_size)
