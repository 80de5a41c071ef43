"""Names of options and values: unknown ones, and those that they are like."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from chargen.errors import ConfigError


def reject_unknown(
    values: Iterable[str], known: Iterable[str], aliases: Mapping[str, str] | None = None
) -> None:
    """Raise a ConfigError for the names among ``values`` that are not ``known``.

    ``aliases``: other names of known ones, such as ``n`` of ``length``; they are not accepted, but
    understood.
    """
    known = sorted(known)
    unknown = []
    for name in values:
        if name not in known:
            close = (aliases or {}).get(name) or nearest(name, known)
            unknown.append(f"`{name}`" + (f" (did you mean `{close}`?)" if close else ""))
    if unknown:
        noun = "option" if len(unknown) == 1 else "options"
        raise ConfigError(
            f"Unknown {noun}: {', '.join(unknown)}.", f"The options are {', '.join(known)}."
        )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that begins with ``name``, or the most similar one, or None."""
    known = list(known)
    close = [each for each in known if name and each.startswith(name)]
    return next(iter(close or difflib.get_close_matches(name, known, n=1, cutoff=0.7)), None)


def meant(value: Any, known: Iterable[str] | None) -> str:
    """Suggest the one of the ``known`` values that ``value`` is like, if there is one."""
    close = nearest(value, known or ()) if isinstance(value, str) else None
    return f" (did you mean {close!r}?)" if close else ""
