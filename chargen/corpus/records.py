"""Records: texts of their own, with labels or with an answer, read one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

from chargen.corpus.conversion import converter
from chargen.corpus.reading import Source, open_source
from chargen.corpus.recognition import format_of_labelled, format_of_pairs, sides_of
from chargen.corpus.record_fields import LONGEST, check_length, clean_text, id_of, label_of
from chargen.corpus.record_formats import FASTTEXT_KEY, Row, bad_record, listed, read_rows
from chargen.corpus.sources import SourceFile, find_sources
from chargen.errors import CorpusError
from chargen.options import CorpusConfig

_JUDGED = 1000  # records, by which separated characters are recognised
_SPACED_SHARE = 0.95
_SPACED = re.compile(r"\S(?: \S)+")
_MOST_KEYS = 1000


@dataclass(frozen=True)
class Record:
    """A text of its own.

    Attributes:
        text: its characters; of a pair, the side that is read.
        labels: its labels by key; a key that it has no label for is missing.
        answer: of a pair, the side that is written; else None.
        place: file and line, for people.
        id: what the file gives as its ``id``, if it does.
    """

    text: str
    labels: Mapping[str, str]
    answer: str | None
    place: str
    id: str | int | None

    @property
    def sides(self) -> tuple[str, ...]:
        """The text, and the answer if it has one."""
        return (self.text,) if self.answer is None else (self.text, self.answer)


def read_records(
    files: Sequence[str | Path], config: CorpusConfig, *, all_labels: bool = True
) -> Iterator[Record]:
    """Read the records of files, in bounded memory.

    Args:
        files: paths, as ``find_sources`` takes them.
        config: what is read, by ``records``, ``text_key``, ``label_key`` and ``reverse``.
        all_labels: whether it is an error that no record has any label of a key.

    Raises:
        CorpusError: a record can't be used; see ``RecordReader``.
    """
    sources = open_records(find_sources([Path(file) for file in files]), config)
    return iter(RecordReader(sources, config, all_labels=all_labels))


def open_records(
    files: Iterable[SourceFile],
    config: CorpusConfig,
    on_bytes: Callable[[int], None] | None = None,
) -> list[Source]:
    """Determine how files of records are to be read; their lines are never joined."""
    kept = replace(config, unwrap="no")
    return [open_source(file, kept, on_bytes) for file in files]


class RecordReader:
    """Reads the records of files, once.

    The format of each file is recognised by its first line. Labels may be strings, numbers or
    booleans, and are strings on one line here; an empty one is missing. Lines that are blank are
    left out, except in a file of one side of pairs.

    Where at least 95 of 100 sides of the first thousand pairs are characters separated by single
    blanks, as in the public set of couplets, blanks are left out of all.

    Attributes:
        keys: the keys of labels.
        blanks_dropped: whether blanks between characters were left out; known once a record was
            read.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        config: CorpusConfig,
        on_bytes: Callable[[int], None] | None = None,
        *,
        all_labels: bool = True,
    ) -> None:
        """Recognise the formats; CorpusError for a file that isn't one of records."""
        self.keys = config.label_key
        self.blanks_dropped = False
        self._sources, self._config, self._on_bytes = sources, config, on_bytes
        self._all_labels = all_labels
        self._convert = None if config.convert == "none" else converter(config.convert)
        self._kinds = self._formats()
        if not self.keys and "fasttext" in self._kinds:
            self.keys = (FASTTEXT_KEY,)
        self._met: dict[str, bool] = {}  # the keys met, and whether one had a label

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in order.

        Raises:
            CorpusError: one isn't of its file's format, is empty, or is longer than LONGEST; a
                label is no single value; there is no label for a key; of two files of sides, one
                has more lines.
        """
        if self._config.records == "pairs":
            yield from self._pairs()
            return
        for source, kind in zip(self._sources, self._kinds, strict=True):
            for row in self._rows(source, kind):
                if kind == "lines" and not row.fields[self._config.text_key].strip():
                    continue
                yield self._record(row, source)
        if self._all_labels:
            self._check_keys()

    def _formats(self) -> list[str]:
        config = self._config
        if config.records == "labels":
            return [format_of_labelled(source, config.text_key) for source in self._sources]
        if config.records == "pairs":
            plain = len(self._sources) == 2
            kinds = [format_of_pairs(source, plain=plain) for source in self._sources]
            if plain and "lines" in kinds and kinds != ["lines", "lines"]:
                kinds = [format_of_pairs(source, plain=False) for source in self._sources]
            return kinds
        return ["lines"] * len(self._sources)

    def _rows(self, source: Source, kind: str) -> Iterator[Row]:
        config = self._config
        return read_rows(source, kind, config.text_key, config.errors, self._on_bytes)

    def _record(self, row: Row, source: Source) -> Record:
        name, fields, key = source.file.name, row.fields, self._config.text_key
        if key not in fields:
            raise bad_record(
                name,
                row.line,
                f"it has no {key!r}; its keys are {listed(fields)}.",
                "Name the key of the text with `text_key`.",
            )
        text = self._side(fields[key], source, row.line, "the text")
        check_length(text, _place(name, row))
        return Record(text, self._labels(row, source), None, _place(name, row), id_of(fields))

    def _labels(self, row: Row, source: Source) -> dict[str, str]:
        found = {}
        for key in row.fields:
            if key not in self._met and len(self._met) < _MOST_KEYS:
                self._met[key] = False
        for key in self.keys:
            if label := label_of(row.fields.get(key), key, source.file.name, row.line):
                found[key] = label
                self._met[key] = True
        return found

    def _check_keys(self) -> None:
        """Raise CorpusError for a key that no record has a label for; none without records."""
        names = listed(source.file.name for source in self._sources)
        for key in self.keys if self._met else ():
            if key not in self._met:
                raise CorpusError(
                    f"No record of {names} has the key {key!r}; there are {listed(self._met)}.",
                    "Name one of these with `label_key`.",
                )
            if not self._met[key]:
                raise CorpusError(
                    f"The label {key!r} is empty in every record of {names}.",
                    "Name another one with `label_key`.",
                )

    def _pairs(self) -> Iterator[Record]:
        """Yield pairs; their blanks are left out if those of the first thousand are separators."""
        found = self._plain_pairs() if "lines" in self._kinds else self._keyed_pairs()
        first = list(islice(found, _JUDGED))
        sides = [side.strip(" ") for record in first for side in record.sides]
        several = [side for side in sides if len(side) > 1]
        spaced = sum(bool(_SPACED.fullmatch(side)) for side in several)
        self.blanks_dropped = spaced > 0 and spaced >= _SPACED_SHARE * len(several)
        for record in chain(first, found):
            text, answer = record.sides
            if self.blanks_dropped:
                text, answer = text.replace(" ", ""), answer.replace(" ", "")
            for side in (text, answer):
                check_length(side, record.place)
            if self._config.reverse:
                text, answer = answer, text
            changed = self.blanks_dropped or self._config.reverse
            yield replace(record, text=text, answer=answer) if changed else record

    def _keyed_pairs(self) -> Iterator[Record]:
        for source, kind in zip(self._sources, self._kinds, strict=True):
            for row in self._rows(source, kind):
                keys = sides_of(tuple(row.fields))
                if None in keys:
                    raise bad_record(
                        source.file.name,
                        row.line,
                        f"it has no src and trg; its keys are {listed(row.fields)}.",
                        "Give each pair both sides, as src and trg.",
                    )
                text, answer = (
                    self._side(row.fields[key], source, row.line, key) for key in keys if key
                )
                yield Record(text, {}, answer, _place(source.file.name, row), id_of(row.fields))

    def _plain_pairs(self) -> Iterator[Record]:
        """Yield the lines of two files as pairs; lines that are blank in both are left out."""
        one, other = self._sources
        key = self._config.text_key
        rows = (self._rows(source, "lines") for source in self._sources)
        for number, pair in enumerate(zip_longest(*rows), 1):
            for row, short, longer in zip(pair, (one, other), (other, one), strict=True):
                if row is None:
                    raise CorpusError(
                        f"{short.file.name} ends after line {number - 1}, and {longer.file.name} "
                        f"goes on: its line {number} has no partner.",
                        "Give two files with as many lines, each the answer to its partner.",
                    )
            if not any(row.fields[key].strip() for row in pair):
                continue
            text, answer = (
                self._side(row.fields[key], source, number, "the line")
                for row, source in zip(pair, self._sources, strict=True)
            )
            place = f"{one.file.name} and {other.file.name}, line {number}"
            yield Record(text, {}, answer, place, None)

    def _side(self, value: Any, source: Source, line: int, what: str) -> str:
        """A text as it is learnt; its length is known only once blanks are left out."""
        text, replaced = clean_text(
            value, source.file.name, line, what, strict=self._config.errors == "strict"
        )
        source.replacements += replaced
        text = self._convert(text) if self._convert else text
        if len(text) > 2 * LONGEST:
            check_length(text, f"{source.file.name}, line {line}")
        return text


def _place(name: str, row: Row) -> str:
    return f"{name}, line {row.line}"
