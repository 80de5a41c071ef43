"""The second pass over records: encode them, verify that they decode to the same, write them."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from chargen.corpus.manifest import (
    TRAIN,
    TRAIN_LABELS,
    VAL,
    VAL_LABELS,
)
from chargen.corpus.progress import ByteCounter
from chargen.corpus.record_survey import is_for_validation
from chargen.corpus.records import Record, RecordReader
from chargen.corpus.split_writer import SplitWriter, Written, lossy, verify_round_trip
from chargen.corpus.survey import RecordCounts, Survey, check_unchanged
from chargen.corpus.tokenizer import Tokenizer
from chargen.options import CorpusConfig

_WRITTEN_AT_ONCE = 1 << 18  # characters


def write_records(
    folder: Path,
    found: Survey,
    records: RecordCounts,
    tokenizer: Tokenizer,
    config: CorpusConfig,
    counter: ByteCounter,
) -> Written:
    """Encode the surveyed records into the files of ``folder``.

    Raises:
        CorpusError: a file changed since the survey, or the pieces don't decode to their text.
    """
    sources = [source.again() for source in found.sources]
    reader = RecordReader(sources, config, counter.add)
    numbers = [{v: n for n, (v, _) in enumerate(values, 1)} for values in records.values]
    with ExitStack() as files:

        def opened(name: str) -> IO[bytes]:
            return files.enter_context((folder / name).open("wb"))

        splits = [
            _RecordWriter(
                SplitWriter(opened(name)), opened(labels) if records.keys else None, tokenizer
            )
            for name, labels in ((TRAIN, TRAIN_LABELS), (VAL, VAL_LABELS))
        ]
        for number, record in enumerate(reader):
            row = [
                known.get(record.labels.get(key, ""), 0)
                for key, known in zip(records.keys, numbers, strict=True)
            ]
            splits[is_for_validation(number, config.val_frac)].add(record, row)
        for split in splits:
            split.flush()
    check_unchanged(found, sources)
    train, val = splits
    if (train.records, val.records) != (records.train, records.val):
        raise lossy()
    digests = {TRAIN: train.pieces.sha256, VAL: val.pieces.sha256}
    if records.keys:
        digests |= {TRAIN_LABELS: train.labels_sha256, VAL_LABELS: val.labels_sha256}
    described = records.described(max(train.longest, val.longest))
    unknown = train.unknown + val.unknown
    return Written(train.pieces.split, val.pieces.split, digests, unknown, described)


class _RecordWriter:
    """Writes the records of a split: their pieces with an end after each text, and their labels.

    Attributes:
        pieces: the writer of the pieces.
        records: how many were added.
        longest: pieces of the longest text, its end included.
        unknown: the <unk> among the pieces.
    """

    def __init__(self, pieces: SplitWriter, labels: IO[bytes] | None, tokenizer: Tokenizer) -> None:
        self.pieces = pieces
        self.records = self.longest = self.unknown = 0
        self._labels, self._labels_digest = labels, hashlib.sha256()
        self._tokenizer = tokenizer
        self._texts: list[str] = []
        self._rows: list[list[int]] = []
        self._held = 0

    @property
    def labels_sha256(self) -> str:
        return self._labels_digest.hexdigest()

    def add(self, record: Record, labels: list[int]) -> None:
        """Add a record; it is written when enough are held, or by ``flush``."""
        self.records += 1
        self._texts += record.sides
        self._rows.append(labels)
        self._held += sum(map(len, record.sides))
        if self._held >= _WRITTEN_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Encode, verify and write what is held."""
        if not self._texts:
            return
        text = "".join(self._texts)
        ids = self._tokenizer.encode(text)
        self.unknown += verify_round_trip(self._tokenizer, text, ids)
        starts = np.flatnonzero(self._tokenizer.character_starts(ids))
        last = np.cumsum([len(each) for each in self._texts])
        ends = np.append(starts, len(ids))[last]  # (texts,), where the pieces of each end
        self.longest = max(self.longest, int(np.diff(ends, prepend=0).max()) + 1)
        ids = np.insert(ids, ends, self._tokenizer.end_id).astype(self._tokenizer.dtype)
        self.pieces.write(ids, len(text) + len(self._texts))
        if self._labels:
            data = np.array(self._rows, "<u2").tobytes()
            self._labels.write(data)
            self._labels_digest.update(data)
        self._texts, self._rows, self._held = [], [], 0
