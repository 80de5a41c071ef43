"""Options with a value that is usually left out: ``--tones`` is ``--tones strict``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from chargen.cli.naming import every_option
from chargen.options import nearest
from chargen.options.field import Option
from chargen.options.workers import ADDRESS


class SwitchedCommand(TyperCommand):
    """A command that reads such an option without its value, for which Typer has no way."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, completed(args))


def completed(args: Sequence[str]) -> list[str]:
    """Return arguments with the values that were left out.

    What follows such an option is its value where it is one of its choices, or like one, or where
    it can be an address.
    """
    switches = {
        flag: entry.option
        for entry in every_option()
        if entry.option.switch is not None
        for flag in entry.flags
    }
    found: list[str] = []
    for n, given in enumerate(args):
        if given == "--":
            return [*found, *args[n:]]
        word = given
        known = switches.get(word)
        if known is not None and known.switch is not None and not _is_value(args[n + 1 :], known):
            word = f"{word}={known.switch[True]}"
        found.append(word)
    return found


def _is_value(rest: Sequence[str], option: Option) -> bool:
    if not rest:
        return False
    if option.choices is None:  # an address; anything else is the next argument
        return re.fullmatch(rf"auto|local|none|{ADDRESS}", rest[0]) is not None
    return rest[0] in option.choices or nearest(rest[0], option.choices) is not None
