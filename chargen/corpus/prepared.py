"""A prepared corpus: a folder of tokens, their vocabulary, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.manifest import (
    LABEL_FILES,
    TOKENIZER,
    TRAIN,
    VAL,
    Manifest,
    read_manifest,
)
from chargen.corpus.record_description import RecordsDescription
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.tokenizer import Tokenizer
from chargen.corpus.tokens import TokenFile, Tokens
from chargen.errors import CorpusError

_COUNTED_AT_ONCE = 1 << 20

_PARALLEL = 0.99
"""Share of pairs of equally long texts from which on all of them count as such."""


class PreparedCorpus:
    """A prepared corpus, verified.

    Attributes:
        path: its folder.
        manifest: its description.
        tokenizer: its vocabulary.
        train: (pieces,) the training split, a read-only memory map.
        val: (pieces,) the validation split, a read-only memory map; may be empty.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        tokenizer: Tokenizer,
        train: Tokens,
        val: Tokens,
        labels: Sequence[Tokens] = (),
    ) -> None:
        """Of open files; ``labels`` are those of the two splits, where there are any."""
        self.path, self.manifest, self.tokenizer = path, manifest, tokenizer
        self.train, self.val = train, val
        self._labels = labels

    def __repr__(self) -> str:
        made, split = self.manifest, self.manifest.val.characters
        records = f"{made.records.count:,} records, " if made.records else ""
        return (
            f"<PreparedCorpus {self.path}: {records}{made.characters:,} characters, {split:,} of "
            f"them for validation, |V| = {made.vocabulary.size:,}>"
        )

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> PreparedCorpus:
        """Open the corpus in a folder, and verify that it is what its manifest says.

        Every file is read in full and compared by SHA-256, and no piece number reaches beyond the
        vocabulary; about a gigabyte a second. In a process this is done once for each file, as
        long as its inode, size and times stay the same. What is open stays what it is when the
        folder is replaced.

        Args:
            path: the folder.
            verify: False for a folder that this process has just written itself; then only the
                sizes are compared.

        Raises:
            CorpusError: it isn't a prepared corpus, is damaged, or of an unknown format version.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        files = _token_files(folder, manifest)
        train, val, *labels = (file.open(verify=verify) for file in files)
        return cls(folder, manifest, _tokenizer(folder, manifest), train, val, labels)

    @cached_property
    def train_records(self) -> RecordSplit:
        """The records of the training split; CorpusError if the corpus has none."""
        records = self._records()
        return self._split(records, self.train, records.train, 0)

    @cached_property
    def val_records(self) -> RecordSplit:
        """The records of the validation split; CorpusError if the corpus has none."""
        records = self._records()
        return self._split(records, self.val, records.val, 1)

    @property
    def is_parallel(self) -> bool:
        """Whether it holds pairs of equally long texts, but for one pair in a hundred."""
        if self.manifest.records is None or self.manifest.records.kind != "pairs":
            return False
        pairs = self.train_records
        begun = np.cumsum(self.tokenizer.character_starts(pairs.tokens))
        first, second = np.diff(begun[pairs.ends], prepend=0).reshape(-1, 2).T
        return float((first == second).mean()) >= _PARALLEL

    def verify(self) -> list[str]:
        """Read every file of the folder again; what is wrong with them, one line each."""
        return problems_in(self.path, self.manifest)

    def _records(self) -> RecordsDescription:
        if self.manifest.records is None:
            raise CorpusError(
                f"{self.path} is one stream of text, without records.",
                "Prepare it from a file of records, with `records` or `label_key`.",
            )
        return self.manifest.records

    def _split(
        self, records: RecordsDescription, tokens: Tokens, count: int, place: int
    ) -> RecordSplit:
        labels = self._labels[place].reshape(count, len(records.keys)) if records.keys else None
        if labels is not None and (labels.max(0, initial=0) > [*map(len, records.values)]).any():
            raise CorpusError(
                f"{self.path} has labels beyond the values that it lists.",
                "Prepare the corpus again.",
            )
        return RecordSplit(tokens, self.tokenizer.end_id, count, records.sides, labels)


def problems_in(folder: Path, manifest: Manifest) -> list[str]:
    """Read every file of a prepared corpus; what contradicts its manifest, one line each."""
    found = [file.problem() for file in _token_files(folder, manifest)]
    try:
        _tokenizer(folder, manifest)
    except CorpusError as error:
        found.insert(0, error.message.replace(str(folder / TOKENIZER), TOKENIZER).rstrip("."))
    return [problem for problem in found if problem]


def piece_counts(ids: Tokens, size: int) -> NDArray[np.int64]:
    """Count how often each of ``size`` pieces occurs, (|V|,), in bounded memory."""
    counts: NDArray[np.int64] = np.zeros(size, np.int64)
    for first in range(0, len(ids), _COUNTED_AT_ONCE):
        counts += np.bincount(ids[first : first + _COUNTED_AT_ONCE], minlength=size)
    return counts


def _token_files(folder: Path, manifest: Manifest) -> list[TokenFile]:
    """The files of numbers: of both splits, and of their labels if there are any."""
    dtype = np.dtype(manifest.dtype).newbyteorder("<")
    size = manifest.vocabulary.size
    files = [
        TokenFile(folder / name, dtype, split.pieces, manifest.files[name], size)
        for name, split in ((TRAIN, manifest.train), (VAL, manifest.val))
    ]
    if (records := manifest.records) and records.keys:
        most = max(map(len, records.values)) + 1
        for name, count in zip(LABEL_FILES, (records.train, records.val), strict=True):
            numbers = count * len(records.keys)
            digest = manifest.files[name]
            files.append(TokenFile(folder / name, np.dtype("<u2"), numbers, digest, most))
    return files


def _tokenizer(folder: Path, manifest: Manifest) -> Tokenizer:
    path = folder / TOKENIZER
    tokenizer = Tokenizer.load(path)
    if tokenizer.sha256 != manifest.files[TOKENIZER] or tokenizer.size != manifest.vocabulary.size:
        raise CorpusError(
            f"{path} is not the tokenizer that the corpus was prepared with.",
            "Prepare the corpus again.",
        )
    return tokenizer
