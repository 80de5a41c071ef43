"""The formats of records: JSON lines, tables with a header, fastText's lines, plain lines.

A file is read line by line, and nothing but the row at hand is held in memory.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NoReturn

from chargen.corpus.reading import Source, read_chunks
from chargen.corpus.tsv import FieldOfSeveralLinesError, tsv_cells
from chargen.errors import CorpusError, printable

LONGEST_LINE = 1 << 20  # characters
FASTTEXT_KEY = "label"
DELIMITERS = {"tsv": "\t", "csv": ","}
_LABEL = re.compile(r"__label__(\S+)\s*")
_ANOTHER_LABEL = re.compile(r"(?<!\S)__label__\S")
_SHOWN_KEYS = 12
_LONGEST_KEY = 40


@dataclass(frozen=True)
class Row:
    """What a file has of a record.

    Attributes:
        line: the number of its first line, from 1.
        fields: its values by key or column.
    """

    line: int
    fields: Mapping[str, Any]


def bad_record(name: str, line: int, what: str, remedy: str) -> CorpusError:
    """The error for a record that can't be used."""
    return CorpusError(f"{name}, line {line}: {what}", remedy)


def listed(keys: Iterable[str]) -> str:
    """Name keys or columns, the first of many."""
    names = [printable(key)[:_LONGEST_KEY] for key in keys]
    return ", ".join(names[:_SHOWN_KEYS]) + (", …" if len(names) > _SHOWN_KEYS else "")


def read_rows(
    source: Source, kind: str, text_key: str, errors: str, on_bytes: Callable[[int], None] | None
) -> Iterator[Row]:
    """Read a file of a format, which ``recognition`` has found, row by row.

    Raises:
        CorpusError: it isn't of that format, or can't be read or decoded.
    """
    lines = _lines(read_chunks(source, errors, on_bytes=on_bytes), source.file.name)
    name = source.file.name
    if kind == "json":
        return _json_rows(lines, name)
    if kind in DELIMITERS:
        return _table_rows(lines, name, kind)
    if kind == "fasttext":
        return _fasttext_rows(lines, name, text_key)
    return (Row(number, {text_key: line}) for number, line in enumerate(lines, 1))


def _lines(chunks: Iterable[str], name: str) -> Iterator[str]:
    """The lines of a text, without their ends."""
    rest, number = "", 1
    for chunk in chunks:
        *whole, rest = (rest + chunk).split("\n")
        for line in whole:
            _check_length(line, name, number)
            yield line
            number += 1
        _check_length(rest, name, number)
    if rest:
        yield rest


def _check_length(line: str, name: str, number: int) -> None:
    if len(line) > LONGEST_LINE:
        raise bad_record(
            name,
            number,
            f"it has more than {LONGEST_LINE:,} characters.",
            "Give a record a line, or learn the file as one text, without `records`.",
        )


def _json_rows(lines: Iterable[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise bad_record(
                name,
                number,
                f"it is not JSON ({_why(error)}).",
                "Write a JSON object on each line.",
            ) from error
        if not isinstance(value, dict):
            remedy = "Write a JSON object on each line"
            remedy += ", for example with `jq -c '.[]'`." if isinstance(value, list) else "."
            raise bad_record(name, number, "it is JSON, but not an object.", remedy)
        yield Row(number, value)


def _table_rows(lines: Iterable[str], name: str, kind: str) -> Iterator[Row]:
    header: list[str] = []
    for number, cells in (_tsv_cells if kind == "tsv" else _csv_cells)(lines, name):
        if not header:
            header = _checked_header(cells, name, number)
            continue
        if len(cells) > len(header):
            raise bad_record(
                name,
                number,
                f"it has {len(cells)} fields, and the header {len(header)}.",
                "Put a field that contains the separator in double quotes.",
            )
        yield Row(number, dict(zip_longest(header, cells, fillvalue="")))


def _tsv_cells(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    try:
        yield from tsv_cells(lines)
    except FieldOfSeveralLinesError as error:
        raise bad_record(
            name,
            error.line,
            "a quoted field goes over several lines, which TSV doesn't allow.",
            "Save the records as JSON lines or CSV.",
        ) from error


def _csv_cells(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that isn't blank, and the number of its first line."""
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise bad_record(
                name,
                number,
                f"its fields can't be read ({error}).",
                'Write a quoted field as "…", and a quote inside it as two; or use JSON lines.',
            ) from error
        if cells:
            yield number, cells


def _fasttext_rows(lines: Iterable[str], name: str, text_key: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        label = _LABEL.match(line.lstrip())
        text = line.lstrip()[label.end() :] if label else line
        if _ANOTHER_LABEL.search(text):
            raise bad_record(
                name, number, "it has more than one __label__.", "Keep one label for each text."
            )
        yield Row(number, {FASTTEXT_KEY: label[1] if label else None, text_key: text})


def _checked_header(cells: list[str], name: str, number: int) -> list[str]:
    header = [cell.strip() for cell in cells]
    if len(set(header)) < len(header):
        raise bad_record(
            name,
            number,
            f"a column name of the header occurs twice: {listed(header)}.",
            "Give each column a name of its own.",
        )
    return header


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
