"""Options of configs as keyword arguments of functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from chargen.options.field import Config, Entry
from chargen.options.names import reject_unknown

_Function = TypeVar("_Function", bound=Callable[..., Any])


def keyword_options(*configs: type[Config]) -> Callable[[_Function], _Function]:
    """Give a function that takes ``**options`` the options of ``configs``.

    They are listed in its signature with their defaults, for ``help``, notebooks and editors. A
    name that is neither an option nor an argument of the function raises a ConfigError, which
    suggests the one that is meant.
    """

    def listed(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        known = {p.name for p in own}
        entries = [
            entry
            for config in configs
            for entry in config.entries().values()
            if not entry.option.derived and entry.parameter not in known
        ]
        added = [
            inspect.Parameter(
                entry.parameter,
                inspect.Parameter.KEYWORD_ONLY,
                default=... if entry.option.default_text else entry.default,
                annotation=entry.annotation,
            )
            for entry in entries
        ]
        names = (known | {p.name for p in added}) - {"self"}
        aliases = {alias: entry.parameter for entry in entries for alias in _aliases(entry)}

        @functools.wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            reject_unknown(options, names, aliases)
            return function(*arguments, **options)

        checked.__signature__ = signature.replace(parameters=own + added)  # type: ignore[attr-defined]
        return cast("_Function", checked)

    return listed


def _aliases(entry: Entry) -> list[str]:
    """Return the flags of an option as names: ``temp`` and ``t`` of ``temperature``."""
    flags = [entry.option.flag or "", *entry.option.aliases]
    return [flag.strip("-").replace("-", "_") for flag in flags if flag and "/" not in flag]
