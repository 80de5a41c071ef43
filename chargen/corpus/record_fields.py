"""The fields of a record: its text, its labels, its id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chargen.corpus.record_formats import bad_record
from chargen.errors import CorpusError

LONGEST = 4096
"""Most characters of a record's text, and of its answer."""
LONGEST_LABEL = 200
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean_text(value: Any, name: str, line: int, what: str, *, strict: bool) -> tuple[str, int]:
    """Check a text and make its line ends LF.

    Args:
        value: what the field holds.
        name: of the file, for errors.
        line: where it is in the file, for errors.
        what: the field, for errors.
        strict: whether a lone surrogate is an error; else it becomes U+FFFD.

    Returns:
        The text, and how many surrogates were replaced.

    Raises:
        CorpusError: it isn't a string, is empty or white space, or has a lone surrogate.
    """
    if value is not None and not isinstance(value, str):
        raise bad_record(
            name,
            line,
            f"{what} is {_kind(value)}, not a string.",
            "Put it in quotes, or name another key.",
        )
    if not value or not value.strip():
        raise bad_record(name, line, f"{what} is empty.", "Give it a text, or remove the record.")
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    found = _SURROGATES.search(text)
    if not found:
        return text, 0
    if strict:
        raise bad_record(
            name,
            line,
            f"{what} contains the lone surrogate U+{ord(found[0]):04X}, which is not a character.",
            'Read it as U+FFFD with `errors="replace"`.',
        )
    return _SURROGATES.subn("\ufffd", text)


def label_of(value: Any, key: str, name: str, line: int) -> str:
    """The label that a field holds, on one line; empty where it holds none.

    White space around it is dropped, and becomes a blank inside.

    Raises:
        CorpusError: it is no single value, is longer than LONGEST_LABEL, or has a lone surrogate.
    """
    if isinstance(value, dict | list):
        raise bad_record(
            name,
            line,
            f"the label {key!r} is {_kind(value)}.",
            "Give each record one value for it: a string, a number or a boolean.",
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    label = "" if value is None else " ".join(str(value).split())
    wrong = "contains a lone surrogate" if _SURROGATES.search(label) else ""
    if len(label) > LONGEST_LABEL:
        wrong = f"has {len(label):,} characters, more than {LONGEST_LABEL}"
    if wrong:
        raise bad_record(
            name, line, f"the label {key!r} {wrong}.", "Name another key with `label_key`."
        )
    return label


def id_of(fields: Mapping[str, Any]) -> str | int | None:
    """What a record gives as its ``id``, if that is a string or an integer."""
    found = fields.get("id")
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


def check_length(text: str, place: str) -> None:
    """Raise CorpusError for a text of more than LONGEST characters."""
    if len(text) > LONGEST:
        raise CorpusError(
            f"{place}: it has {len(text):,} characters, and a record has at most {LONGEST:,}.",
            "Divide it into several records, or learn the file as one text, without `records`.",
        )


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "a boolean"}
    return kinds.get(type(value), "a number")
