"""The first pass over records: count their characters and their labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from chargen.corpus.identity import CorpusRequest
from chargen.corpus.progress import ByteCounter
from chargen.corpus.record_description import MOST_VALUES
from chargen.corpus.records import Record, RecordReader, open_records
from chargen.corpus.survey import RecordCounts, Survey, check_learnable, count_characters
from chargen.errors import CorpusError

_COUNTED_AT_ONCE = 1 << 18  # characters


def survey_records(request: CorpusRequest, counter: ByteCounter) -> Survey:
    """Read all records once, and count their characters and labels.

    Raises:
        CorpusError: a record can't be used (see ``RecordReader``); there is none; nothing can be
            learnt from their texts; a label has only one value, or more than 65,535.
    """
    counter.begin("detect")
    sources = open_records(request.files, request.config, counter.add)
    for source in sources:
        source.digest = None
    counter.begin("count")
    reader = RecordReader(sources, request.config, counter.add)
    labels = tuple(Counter[str]() for _ in reader.keys)
    found = RecordCounts(request.config.records, reader.keys, labels)
    counts = count_characters(_texts(reader, found, request.config.val_frac))
    found.blanks_dropped = reader.blanks_dropped
    if not found.ends:
        names = " and ".join(str(file.path) for file in request.files[:2])
        raise CorpusError(f"{names} has no records.", "Give a file with at least one.")
    check_learnable(counts, request.files)
    for key, values in zip(found.keys, labels, strict=True):
        if len(values) == 1:
            raise CorpusError(
                f"The label {key!r} is {next(iter(values))!r} wherever it is given, and tells "
                "nothing.",
                "Name a key with at least two values with `label_key`, or leave it out.",
            )
    return Survey(sources, request.digests, counts, found)


def is_for_validation(number: int, val_frac: float) -> bool:
    """Whether the record ``number``, from 0, is one of those kept for validation.

    They are spread evenly, so that a sorted file is split fairly; the first is always learnt.
    """
    return math.floor((number + 1) * val_frac) > math.floor(number * val_frac)


def _texts(reader: RecordReader, found: RecordCounts, val_frac: float) -> Iterator[str]:
    """The texts of records, many in one string, while their labels are counted."""
    held: list[str] = []
    length = 0
    for number, record in enumerate(reader):
        _count(record, found, is_for_validation(number, val_frac))
        held += record.sides
        length += sum(map(len, record.sides))
        if length >= _COUNTED_AT_ONCE:
            yield "".join(held)
            held, length = [], 0
    if held:
        yield "".join(held)


def _count(record: Record, found: RecordCounts, is_val: bool) -> None:
    found.train += not is_val
    found.val += is_val
    for key, values in zip(found.keys, found.labels, strict=True):
        if (label := record.labels.get(key)) is None:
            continue
        values[label] += not is_val
        if len(values) > MOST_VALUES:
            raise CorpusError(
                f"{record.place}: the label {key!r} has more than {MOST_VALUES:,} values.",
                "Name another key with `label_key`: one whose values occur again and again.",
            )
