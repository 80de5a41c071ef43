"""Options as keyword arguments, listed in the signature of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from chargen.options.field import Config

_Function = TypeVar("_Function", bound=Callable[..., Any])


def keyword_options(*configs: type[Config]) -> Callable[[_Function], _Function]:
    """List the options of ``configs`` in the signature of a function that takes ``**options``.

    ``help``, notebooks and editors that inspect the signature show them with their defaults.
    """

    def listed(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        known = {p.name for p in own}
        added = [
            inspect.Parameter(
                entry.parameter,
                inspect.Parameter.KEYWORD_ONLY,
                default=... if entry.option.default_text else entry.default,
                annotation=entry.annotation,
            )
            for config in configs
            for entry in config.entries().values()
            if not entry.option.derived and entry.parameter not in known
        ]
        function.__signature__ = signature.replace(parameters=own + added)  # type: ignore[attr-defined]
        return function

    return listed
