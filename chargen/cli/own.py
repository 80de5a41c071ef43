"""A command's own numbers and choices, checked as the options of configs are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from enum import StrEnum
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin

from typer.models import OptionInfo

from chargen.options.field import Entry, Option


def lenient(kind: type) -> Callable[[str], Any]:
    """Return a parser that leaves what is no number to the check, which names all problems."""

    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            return text

    parse.__name__ = kind.__name__  # which --help shows
    return parse


def checked_later(parameter: Parameter, hint: Any) -> tuple[Any, Entry | None]:
    """Return an annotation that accepts any value, and what is to check it.

    Options that aren't numbers or choices keep their annotation, and nothing checks them.
    """
    if get_origin(hint) is not Annotated:
        return hint, None
    whole, info, *_ = get_args(hint)
    kind = next((each for each in _parts(whole) if _is_checked(each)), None)
    if kind is None or not isinstance(info, OptionInfo):
        return hint, None
    known = Option("", low=info.min, high=info.max)
    if issubclass(kind, StrEnum):
        known = Option("", choices={each.value: "" for each in kind})
    entry = Entry(parameter.name, str if issubclass(kind, StrEnum) else kind, True, None, known)
    info = copy(info)
    info.min = info.max = None
    info.parser = lenient(kind)
    return Annotated[whole, info], entry


def problems_of(entries: Mapping[str, Entry], values: Mapping[str, Any]) -> list[str]:
    """Describe what is wrong with the values of options, one line each."""
    found = []
    for name, entry in entries.items():
        given = values[name]
        each = given if isinstance(given, (list, tuple)) else [given]
        found += [line for value in each if (line := entry.problem(value))]
    return found


def _parts(hint: Any) -> list[Any]:
    """Return a type and those that it is made of."""
    return [hint, *(part for each in get_args(hint) for part in _parts(each))]


def _is_checked(kind: Any) -> bool:
    return isinstance(kind, type) and (kind in (int, float) or issubclass(kind, StrEnum))
