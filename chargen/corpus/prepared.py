"""A prepared corpus: a folder of tokens, their vocabulary, and where they came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chargen.config import CorpusConfig, check
from chargen.corpus.manifest import (
    MANIFEST,
    TOKENIZER,
    TRAIN,
    VAL,
    Manifest,
    manifest_values,
    read_manifest,
)
from chargen.corpus.reading import find_sources
from chargen.corpus.survey import Meter, Progress, survey
from chargen.corpus.tokenizer import Tokenizer
from chargen.corpus.writing import write_corpus
from chargen.errors import CorpusError, system_error_text
from chargen.files import new_folder, sha256_of

__all__ = ["PreparedCorpus", "Progress", "matches", "piece_counts", "prepare"]

Tokens: TypeAlias = NDArray[np.integer[Any]]
_COUNTED_AT_ONCE = 1 << 20


class PreparedCorpus:
    """A prepared corpus on disk.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: str | Path) -> PreparedCorpus:
        """Read the manifest and check that the files are there, whole by their sizes.

        Raises:
            CorpusError: it's no prepared corpus, damaged, or of another format version.
        """
        folder = Path(path)
        corpus = cls(folder, read_manifest(folder))
        manifest = corpus.manifest
        for name, split in ((TRAIN, manifest.train), (VAL, manifest.val)):
            expected = split.pieces * np.dtype(manifest.dtype).itemsize
            size = (folder / name).stat().st_size if (folder / name).is_file() else None
            if size != expected:
                found = "missing" if size is None else f"{size} bytes long, not {expected}"
                raise CorpusError(f"{folder / name} is {found}.", "Prepare the corpus again.")
        return corpus

    @cached_property
    def tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.load(self.path / TOKENIZER)
        if tokenizer.sha256 != self.manifest.files.get(TOKENIZER):
            raise CorpusError(
                f"{self.path / TOKENIZER} is not the one that the corpus was prepared with.",
                "Prepare the corpus again.",
            )
        return tokenizer

    @cached_property
    def train(self) -> Tokens:
        """(pieces,) the training split, a read-only memory map."""
        return self._map(TRAIN)

    @cached_property
    def val(self) -> Tokens:
        """(pieces,) the validation split, a read-only memory map; may be empty."""
        return self._map(VAL)

    def verify(self) -> list[str]:
        """What is wrong with the folder's files, one line each; reads them all."""
        problems = []
        for name, expected in self.manifest.files.items():
            try:
                found = sha256_of(self.path / name)
            except OSError as error:
                problems.append(f"{name}: {error.strerror or error}")
                continue
            if found != expected:
                problems.append(f"{name}: its SHA-256 is not the one in the manifest")
        return problems

    def _map(self, name: str) -> Tokens:
        dtype = np.dtype(self.manifest.dtype).newbyteorder("<")
        path = self.path / name
        if path.stat().st_size == 0:
            # An empty file can't be mapped.
            empty = np.empty(0, dtype)
            empty.flags.writeable = False
            return empty
        return np.memmap(path, dtype, mode="r")


def prepare(
    sources: Sequence[Path],
    out: Path,
    config: CorpusConfig,
    on_progress: Callable[[Progress], None] | None = None,
) -> PreparedCorpus:
    """Make a prepared corpus of text files and folders of them.

    The text is read twice, in bounded memory: to count its characters, and to encode them.

    Args:
        sources: files and folders, in order; see ``find_sources``.
        out: the folder to make; a prepared corpus that is there already is replaced.
        config: settings; ConfigError where they are out of range.
        on_progress: called at each MiB or so.

    Raises:
        CorpusError: bad input (see ``survey``), ``out`` is something else, or it can't be
            written. Nothing is left behind then.
    """
    check(config)
    out = Path(out)
    files = find_sources(sources)
    _check_out(out)
    try:
        meter = Meter(sum(path.stat().st_size for path in files), on_progress)
        found = survey(files, config, meter)
        tokenizer = Tokenizer.train(found.counts, config.vocab_size, config.oov)
        with new_folder(out) as folder:
            write_corpus(folder, found, tokenizer, config, meter)
    except OSError as error:
        raise CorpusError(
            f"Can't write the prepared corpus {out}: {system_error_text(error)}.",
            "Nothing was written. Free some space, or choose a folder: chargen prepare --out DIR",
        ) from error
    return PreparedCorpus.open(out)


def piece_counts(ids: Tokens, size: int) -> NDArray[np.int64]:
    """How often each of ``size`` pieces occurs, (|V|,): a part at a time, whatever the length."""
    counts: NDArray[np.int64] = np.zeros(size, np.int64)
    for first in range(0, len(ids), _COUNTED_AT_ONCE):
        counts += np.bincount(ids[first : first + _COUNTED_AT_ONCE], minlength=size)
    return counts


def matches(out: Path, sources: Sequence[Path], config: CorpusConfig) -> bool:
    """Whether ``out`` is a whole prepared corpus of exactly these sources and settings.

    The sources are compared by SHA-256, never by time.
    """
    try:
        manifest = PreparedCorpus.open(out).manifest
        files = find_sources(sources)
        if manifest.config != config or len(files) != len(manifest.sources):
            return False
        return all(
            sha256_of(path) == source.sha256
            for path, source in zip(files, manifest.sources, strict=True)
        )
    except (CorpusError, OSError):
        return False


def _check_out(out: Path) -> None:
    """A prepared corpus may be replaced, and an empty folder filled; nothing else."""
    try:
        names = {path.name for path in out.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise CorpusError(
            f"Can't use {out} for a prepared corpus: {system_error_text(error)}.",
            "Choose another folder: chargen prepare FILES... --out DIR",
        ) from error
    if not names:
        return
    try:
        manifest_values(out)
    except CorpusError as error:
        raise CorpusError(
            f"{out} is there already and is not a prepared corpus.",
            "Remove it, or choose another folder: chargen prepare FILES... --out DIR",
        ) from error
    if others := sorted(names - {MANIFEST, TOKENIZER, TRAIN, VAL}):
        raise CorpusError(
            f"{out} is a prepared corpus with other files in it, which would be lost: "
            f"{', '.join(others[:3])}{', …' if len(others) > 3 else ''}.",
            "Move them away, or choose another folder: chargen prepare FILES... --out DIR",
        )
