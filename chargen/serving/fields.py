"""The fields of a request's body, which is a JSON object: read one by one, refused by name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, NoReturn

from chargen.options import Config, nearest
from chargen.serving.refusals import RefusedError

_DEEPEST = 16
"""Levels of lists and objects in a body: what is nested deeper, others can't write or compare."""
_NAME = 1000
"""Characters of a name."""


class Fields:
    """The fields of a body; null is the same as none.

    Args:
        body: the bytes that came.
        known: names that fields may have.

    Raises:
        RefusedError: the body is no JSON object, or has an unknown field. Methods raise it where a
            field isn't what it should be; ``param`` names it.
    """

    def __init__(self, body: bytes, known: Collection[str]) -> None:
        values = _object_in(body)
        unknown = next((name for name in values if name not in known), None)
        if unknown is not None:
            close = nearest(unknown, known)
            hint = f" (did you mean {close}?)" if close else ""
            raise RefusedError(400, f"Unknown field {unknown:.100}{hint}.", param=unknown[:100])
        self.values = {name: value for name, value in values.items() if value is not None}

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            self.refuse(name, "should be true or false")
        return value

    def whole(self, name: str, low: int, high: int) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.refuse(name, f"should be an integer from {low} to {high:,}")
        return value

    def text(self, name: str, longest: int = _NAME) -> str | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > longest:
            self.refuse(name, f"should be a text of at most {longest:,} characters")
        self.check_writable(name, value)
        return value

    def texts(self, name: str, most: int, longest: int) -> list[str]:
        """A text or a list of texts: 1 to ``most``, each of at most ``longest`` characters."""
        given = self.values.get(name)
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
            self.refuse(name, "should be a text or a list of texts")
        if not 0 < len(texts) <= most:
            self.refuse(name, f"should have 1 to {most:,} texts")
        if max(map(len, texts)) > longest:
            self.refuse(name, f"has more than {longest:,} characters")
        for each in texts:
            self.check_writable(name, each)
        return texts

    def options(self, config: type[Config], names: Iterable[str]) -> dict[str, Any]:
        """Those of some options of a config that are given."""
        entries, found = config.entries(), {}
        for name in names:
            if name in self.values:
                found[name] = entries[name].normalised(self.values[name])
                if problem := entries[name].problem(found[name]):
                    raise RefusedError(400, f"{problem}.", param=name)
        return found

    def check_writable(self, name: str, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            self.refuse(name, "has a lone surrogate, which is not a character")

    @staticmethod
    def refuse(name: str, problem: str) -> NoReturn:
        raise RefusedError(400, f"The field {name} {problem}.", param=name)


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"The body is not JSON: {error}.", code="invalid_json") from error
    if not isinstance(values, dict):
        raise RefusedError(400, "The body is not a JSON object.", code="invalid_json")
    level: list[Any] = [values]
    for _ in range(_DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for some in inner for each in some if isinstance(each, list | dict)]
        if not level:
            return values
    words = f"The body is nested more than {_DEEPEST} levels deep."
    raise RefusedError(400, words, code="invalid_json")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
