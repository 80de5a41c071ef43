"""The parts of documents that are ZIP archives."""

from __future__ import annotations

import zipfile
from typing import IO

from chargen.errors import CorpusError


def open_part(archive: zipfile.ZipFile, name: str, most_bytes: int) -> IO[bytes]:
    """Open a part that unpacks to at most ``most_bytes``.

    Raises:
        CorpusError: it unpacks to more.
        KeyError: the archive has no such part.
    """
    size = archive.getinfo(name).file_size
    if size > most_bytes:
        raise CorpusError(
            f"{name} in {archive.filename} unpacks to {size:,} bytes, more than {most_bytes:,}.",
            "Convert it to plain text, and name that.",
        )
    return archive.open(name)


def read_part(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    """Read a part; see ``open_part``."""
    with open_part(archive, name, most_bytes) as part:
        return part.read()
