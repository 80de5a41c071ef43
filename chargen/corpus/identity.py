"""What a prepared corpus is recognised by: the content of its texts, and the settings."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chargen.corpus.detection import CHUNK_BYTES
from chargen.corpus.manifest import Manifest
from chargen.corpus.migration import FORMAT, READING, VERSION
from chargen.corpus.progress import ByteCounter, PrepareProgress
from chargen.corpus.shipped import find_text
from chargen.corpus.sources import SourceFile, find_sources, unreadable
from chargen.options import CorpusConfig

_KEY_DIGITS = 8
_LONGEST_NAME = 100  # bytes: the names of runs and temporary files begin with it
_UNFIT = re.compile(r'[\x00-\x1f\x7f-\x9f"*/:<>?\\|\ud800-\udfff]')
_SHOWN_FROM = 1 << 26  # bytes; hashing fewer is over before anybody could read about it


@dataclass(frozen=True)
class CorpusRequest:
    """What a prepared corpus is to be made of.

    Attributes:
        files: the text files, in order.
        digests: the SHA-256 of each.
        config: the settings.
        name: what the corpus is called: the stem of the first path.
    """

    files: tuple[SourceFile, ...]
    digests: tuple[str, ...]
    config: CorpusConfig
    name: str

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        config: CorpusConfig,
        on_progress: Callable[[PrepareProgress], None] | None = None,
        meanwhile: Callable[[Sequence[SourceFile]], None] | None = None,
    ) -> CorpusRequest:
        """Find the files that ``paths`` stand for, and hash them.

        ``meanwhile`` is called with the files while a thread hashes them, without a word.

        Raises:
            CorpusError: see ``find_sources``; or a file can't be read.
        """
        files = tuple(find_sources(paths))
        if meanwhile:
            digests = _hashed_beside(files, meanwhile)
        else:
            total = sum(file.size for file in files)
            counter = ByteCounter(total, on_progress if total >= _SHOWN_FROM else None)
            counter.begin("hash")
            digests = tuple(_sha256(file.path, counter.add) for file in files)
        return cls(files, digests, config, corpus_name(paths))

    @property
    def byte_count(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits of content, settings, format and reading."""
        asked = [FORMAT, VERSION, READING, self.digests, self.config.to_dict()]
        text = json.dumps(asked, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]

    @property
    def folder_name(self) -> str:
        """The name of the folder in ``corpora/`` that holds it."""
        return f"{self.name}-{self.key}"

    def is_met_by(self, manifest: Manifest) -> bool:
        """Whether a prepared corpus was read from the same bytes in the same way."""
        made_of = tuple(source.sha256 for source in manifest.sources)
        same = made_of == self.digests and manifest.config == self.config
        return same and manifest.reading == READING


def corpus_name(paths: Sequence[Path]) -> str:
    """A name for the texts: the stem of the first path, and how many paths follow.

    It can be part of a file name everywhere, and isn't hidden.
    """
    stem = usable_name(find_text(Path(paths[0])).resolve().stem)
    return stem if len(paths) == 1 else f"{stem}+{len(paths) - 1}"


def usable_name(text: str) -> str:
    """Turn ``text`` into a file name that is visible, portable and not too long."""
    name = _UNFIT.sub("_", text).lstrip(".- ")
    name = name.encode()[:_LONGEST_NAME].decode("utf-8", "ignore").rstrip(". ")
    return name or "corpus"


def _hashed_beside(
    files: Sequence[SourceFile], meanwhile: Callable[[Sequence[SourceFile]], None]
) -> tuple[str, ...]:
    """Hash the files in a thread, which ends early where ``meanwhile`` fails."""
    failed = threading.Event()

    def go_on(_count: int) -> None:
        if failed.is_set():
            raise InterruptedError

    with ThreadPoolExecutor(1) as thread:
        hashed = thread.submit(lambda: tuple(_sha256(file.path, go_on) for file in files))
        try:
            meanwhile(files)
        except BaseException:
            failed.set()
            raise
        return hashed.result()


def _sha256(path: Path, on_bytes: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                on_bytes(len(chunk))
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()
