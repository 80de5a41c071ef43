"""The token files of a prepared corpus: verified, then mapped into memory."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chargen.errors import CorpusError
from chargen.files import open_regular

Tokens: TypeAlias = NDArray[np.integer[Any]]

_CHUNK_BYTES = 1 << 20
_SETTLED_SECONDS = 2.0  # the coarsest clock of a file system in use
_PREPARE_AGAIN = "Prepare the corpus again."


@dataclass(frozen=True)
class TokenFile:
    """What a manifest says about a token file.

    Attributes:
        path: of the file.
        dtype: of its numbers.
        pieces: how many there are.
        sha256: of its bytes.
        vocabulary: |V|, which every number is below.
    """

    path: Path
    dtype: np.dtype[Any]
    pieces: int
    sha256: str
    vocabulary: int

    def open(self, *, verify: bool = True) -> Tokens:
        """Verify the file and map it, (pieces,), read-only.

        All of it is read, at about a gigabyte a second, unless this process did so before and the
        file is still the same by device, inode, size and times. What is mapped is the very file
        that was verified, even if another one takes its place meanwhile. Without ``verify`` only
        the size is compared.

        Raises:
            CorpusError: the file is missing, can't be read, or isn't what the manifest says.
        """
        try:
            with open_regular(self.path) as file:
                problem = self._wrong_size(file)
                if verify and not problem:
                    problem = self._wrong(_content_once(file, self.dtype))
                if not problem:
                    return self._mapped(file)
        except OSError as error:
            problem = _why_not(error)
        raise CorpusError(f"{self.path} {problem}.", _PREPARE_AGAIN)

    def problem(self) -> str | None:
        """Read the whole file, and say what is wrong with it, if anything."""
        try:
            with open_regular(self.path) as file:
                problem = self._wrong_size(file) or self._wrong(_content(file, self.dtype))
        except OSError as error:
            problem = _why_not(error)
        return f"{self.path.name} {problem}" if problem else None

    def _wrong_size(self, file: BinaryIO) -> str | None:
        size, expected = os.fstat(file.fileno()).st_size, self.pieces * self.dtype.itemsize
        return None if size == expected else f"is {size} bytes long, not {expected}"

    def _wrong(self, content: _Content) -> str | None:
        if content.sha256 != self.sha256:
            return "is damaged: its SHA-256 is not the one in the manifest"
        if content.largest >= self.vocabulary:
            return (
                f"is damaged: it contains piece {content.largest}, but the vocabulary has only "
                f"{self.vocabulary}"
            )
        return None

    def _mapped(self, file: BinaryIO) -> Tokens:
        if not self.pieces:
            # An empty file can't be mapped.
            empty = np.empty(0, self.dtype)
            empty.flags.writeable = False
            return empty
        return np.memmap(file, self.dtype, mode="r", shape=(self.pieces,))


def _why_not(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"can't be read: {error.strerror or error}"


@dataclass(frozen=True)
class _Content:
    """What reading a whole token file has told: its hash and its largest number, or -1."""

    sha256: str
    largest: int


_known: dict[tuple[Any, ...], _Content] = {}


def _content_once(file: BinaryIO, dtype: np.dtype[Any]) -> _Content:
    status = os.fstat(file.fileno())
    identity = (
        *(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns),
        dtype.str,
    )
    if identity in _known:
        return _known[identity]
    content = _content(file, dtype)
    # A file that was written a moment ago may be written again within the same tick of the clock.
    if time.time() - status.st_mtime > _SETTLED_SECONDS:
        _known[identity] = content
    return content


def _content(file: BinaryIO, dtype: np.dtype[Any]) -> _Content:
    digest, largest = hashlib.sha256(), -1
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        numbers = np.frombuffer(chunk, dtype, count=len(chunk) // dtype.itemsize)
        largest = max(largest, int(numbers.max(initial=0)))
    return _Content(digest.hexdigest(), largest)
