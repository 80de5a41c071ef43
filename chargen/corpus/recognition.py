"""Recognise the format of a file of records by its first line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache

from chargen.corpus.reading import Source, read_chunks
from chargen.corpus.record_formats import DELIMITERS, LONGEST_LINE, listed
from chargen.errors import CorpusError

SOURCE_KEYS = ("src", "source")
TARGET_KEYS = ("trg", "tgt", "target")
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json-lines", ".json")
_TABLE_ENDINGS = (".csv", ".tsv", ".tab")
_HEAD_BYTES = 1 << 16


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


@lru_cache(maxsize=64)
def sides_of(keys: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The keys of the source and of the target; None where there is none."""
    known = {key.strip().lower(): key for key in keys}
    source, target = (
        next((known[name] for name in names if name in known), None)
        for names in (SOURCE_KEYS, TARGET_KEYS)
    )
    return source, target


def _is_json(line: str, name: str) -> bool:
    return line.startswith(("{", "[{")) or line == "[" or name.lower().endswith(_JSON_ENDINGS)


def _header(line: str) -> tuple[str, list[str]]:
    """Read a first line as the header of a table: ``tsv`` or ``csv``, and its columns."""
    kind = "tsv" if "\t" in line else "csv"
    try:
        cells = next(csv.reader([line], delimiter=DELIMITERS[kind]), [])
    except csv.Error:
        cells = [line]
    return kind, [cell.strip() for cell in cells]


def _sides(keys: Sequence[str]) -> bool:
    return None not in sides_of(tuple(keys))
