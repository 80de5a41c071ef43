"""Texts that a run is to judge: the records of a file, or its lines."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from chargen.corpus.conversion import converter
from chargen.corpus.reading import Source
from chargen.corpus.recognition import is_of_records
from chargen.corpus.record_fields import check_length
from chargen.corpus.record_formats import read_rows
from chargen.corpus.records import Record, RecordReader, open_records
from chargen.corpus.sources import SourceFile, find_sources
from chargen.options import CorpusConfig

PIPED = "standard input"


def judged_texts(name: str | Path, settings: CorpusConfig) -> Iterator[Record]:
    """Read the texts of a file, in bounded memory: its records, or else its lines.

    What is a record is recognised by the first line: a JSON object, a header with the column of the
    text, or fastText's ``__label__``. In any other file each line is a text, a blank one too, so
    that what is told of them stands on the same lines. A record without an ``id`` has its number.

    Args:
        name: of the file; ``-`` is standard input, which is kept in a temporary file.
        settings: how it is read; ``text_key`` and ``label_key`` name what a record has.

    Raises:
        CorpusError: it can't be read, or a record can't be used.
    """
    with ExitStack() as stack:
        file = _piped(stack) if str(name) == "-" else find_sources([Path(name)])[0]
        kept = replace(settings, records="labels", reverse=False)
        (source,) = open_records([file], kept)
        if is_of_records(source, kept.text_key):
            found: Iterator[Record] = iter(RecordReader([source], kept, all_labels=False))
        else:
            found = _lines(source, kept)
        for number, record in enumerate(found, 1):
            yield record if record.id is not None else replace(record, id=number)


def _piped(stack: ExitStack) -> SourceFile:
    """Keep standard input in a file that is removed at the end."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    path = folder / "piped"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return SourceFile(path, PIPED, path.stat().st_size)


def _lines(source: Source, settings: CorpusConfig) -> Iterator[Record]:
    convert = str if settings.convert == "none" else converter(settings.convert)
    for row in read_rows(source, "lines", settings.text_key, settings.errors, None):
        text, place = row.fields[settings.text_key], f"{source.file.name}, line {row.line}"
        check_length(text, place)
        yield Record(convert(text), {}, None, place, row.line)
