"""The formats of records: JSON lines, tables with a header, fastText's lines, plain lines.

A file is read line by line, and nothing but the row at hand is held in memory.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, NoReturn

from chargen.corpus.reading import Source, read_chunks
from chargen.errors import CorpusError, printable

LONGEST_LINE = 1 << 20  # characters
FASTTEXT_KEY = "label"
SOURCE_KEYS = ("src", "source")
TARGET_KEYS = ("trg", "tgt", "target")
_DELIMITERS = {"tsv": "\t", "csv": ","}
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json-lines", ".json")
_TABLE_ENDINGS = (".csv", ".tsv", ".tab")
_HEAD_BYTES = 1 << 16
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


def first_line(source: Source) -> str:
    """The first line that isn't blank, however damaged; empty where there is none."""
    text = ""
    copy = replace(source, digest=None)
    with closing(read_chunks(copy, "replace", chunk_bytes=_HEAD_BYTES)) as chunks:
        for chunk in chunks:
            line, found, _ = (text := (text + chunk).lstrip()).partition("\n")
            if found or len(line) > LONGEST_LINE:
                return line.rstrip()
    return text.rstrip()


def format_of_labelled(source: Source, text_key: str) -> str:
    """Recognise a file of records with labels by its first line: json, fasttext, tsv or csv.

    Raises:
        CorpusError: it is a text, or a table without the column ``text_key``.
    """
    line, name = first_line(source), source.file.name
    if _is_json(line, name):
        return "json"
    if line.startswith("__label__"):
        return "fasttext"
    kind, columns = _header(line)
    if not line or text_key in columns:
        return kind
    if kind == "tsv" or name.lower().endswith(_TABLE_ENDINGS):
        raise CorpusError(
            f"{name} has no column {text_key!r}; its header names {listed(columns)}.",
            "Name the column of the text with `text_key`.",
        )
    raise CorpusError(
        f"{name} is not a file of records: its first line is neither a JSON object, nor a header "
        f"with the column {text_key!r}, nor begins with __label__.",
        "Give JSON lines, CSV or TSV with a header, or learn it as a text, without `label_key`.",
    )


def is_of_records(source: Source, text_key: str) -> bool:
    """Whether a file is one of records with texts, by its first line, and not of plain lines."""
    line, name = first_line(source), source.file.name
    if _is_json(line, name) or line.startswith("__label__"):
        return True
    return name.lower().endswith(_TABLE_ENDINGS) or text_key in _header(line)[1]


def format_of_pairs(source: Source, *, plain: bool) -> str:
    """Recognise a file of pairs by its first line: json, tsv, csv, or lines.

    Args:
        source: the file.
        plain: whether it may be one side of the pairs, a line each.

    Raises:
        CorpusError: it may not, and has no header that names both sides.
    """
    line, name = first_line(source), source.file.name
    if _is_json(line, name) and not (plain and not _sides(keys_of_json(line))):
        return "json"
    kind, columns = _header(line)
    if _sides(columns):
        return kind
    if plain:
        return "lines"
    what = (
        f"its header names {listed(columns)}"
        if kind == "tsv" or name.lower().endswith(_TABLE_ENDINGS)
        else "its first line is neither a header nor a JSON object"
    )
    raise CorpusError(
        f"{name} has no columns src and trg: {what}.",
        "Begin it with the line src, tab, trg; or give two text files, whose lines are the sides.",
    )


def keys_of_json(line: str) -> list[str]:
    """The keys of a JSON object on one line; none where it isn't one."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []


def sides_of(keys: Iterable[str]) -> tuple[str | None, str | None]:
    """The keys of the source and of the target; None where there is none."""
    known = {key.strip().lower(): key for key in keys}
    source, target = (
        next((known[name] for name in names if name in known), None)
        for names in (SOURCE_KEYS, TARGET_KEYS)
    )
    return source, target


def read_rows(
    source: Source, kind: str, text_key: str, errors: str, on_bytes: Callable[[int], None] | None
) -> Iterator[Row]:
    """Read a file of a format, which a ``format_of_…`` has recognised, row by row.

    Raises:
        CorpusError: it isn't of that format, or can't be read or decoded.
    """
    lines = _lines(read_chunks(source, errors, on_bytes=on_bytes), source.file.name)
    name = source.file.name
    if kind == "json":
        return _json_rows(lines, name)
    if kind in _DELIMITERS:
        return _table_rows(lines, name, _DELIMITERS[kind])
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


def _table_rows(lines: Iterable[str], name: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    header: list[str] = []
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
                f"its quotes can't be read ({error}).",
                'Write a quoted field as "…", and a quote inside it as two; or use JSON lines.',
            ) from error
        if not cells:
            continue
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


def _is_json(line: str, name: str) -> bool:
    return line.startswith(("{", "[{")) or line == "[" or name.lower().endswith(_JSON_ENDINGS)


def _header(line: str) -> tuple[str, list[str]]:
    """Read a first line as the header of a table: ``tsv`` or ``csv``, and its columns."""
    kind = "tsv" if "\t" in line else "csv"
    try:
        cells = next(csv.reader([line], delimiter=_DELIMITERS[kind]), [])
    except csv.Error:
        cells = [line]
    return kind, [cell.strip() for cell in cells]


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


def _sides(keys: Iterable[str]) -> bool:
    return None not in sides_of(keys)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
