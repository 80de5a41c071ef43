"""How phrases are made up: their parts, and what follows their beginnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def parts(phrase: str) -> Iterator[str]:
    """Yield all parts of a phrase that have several characters."""
    for start in range(len(phrase) - 1):
        for end in range(start + 2, len(phrase) + 1):
            yield phrase[start:end]


def continuations(phrases: Iterable[str]) -> dict[str, set[str]]:
    """Return the characters that follow each beginning of a phrase."""
    found: dict[str, set[str]] = {}
    for phrase in phrases:
        for n in range(1, len(phrase)):
            found.setdefault(phrase[:n], set()).add(phrase[n])
    return found
