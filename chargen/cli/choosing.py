"""The runs that a command is to work on, chosen from a list where none is named."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chargen.errors import ConfigError

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal

_OFFERED = 20
"""Runs that are listed, the newest ones."""


def chosen_runs(terminal: Terminal, runs_dir: Path | None, *, as_json: bool) -> list[str]:
    """List the runs on a terminal, and return the folders of those that are typed.

    Raises:
        ConfigError: there is no terminal to ask on, there are fewer than two runs, or what is
            typed names no runs.
    """
    from chargen import api
    from chargen.cli.runs import HEADER, row_of

    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "No runs to compare are named.",
            "Name two or more, such as the first ones that `chargen runs` lists.",
        )
    found = [each for each in api.list_runs(runs_dir) if not each.problem][:_OFFERED]
    if len(found) < 2:
        raise ConfigError("There are no two runs to compare.", "Train with chargen train first.")
    rows = [(f"{n} {first}", *rest) for n, (first, *rest) in enumerate(map(row_of, found), 1)]
    terminal.grid("", HEADER, rows)
    newest = [n for n, each in enumerate(found, 1) if each.finished][:2]
    standard = newest if len(newest) == 2 else [1, 2]
    print(f"Runs to compare, by number or name [{standard[0]} {standard[1]}]: ", end="", flush=True)
    line = sys.stdin.readline()
    if not line:  # Ctrl-D
        raise KeyboardInterrupt
    typed = line.split() or list(map(str, standard))
    return picked(typed, [(each.name, str(each.path)) for each in found])


def picked(typed: Sequence[str], offered: Sequence[tuple[str, str]]) -> list[str]:
    """Return the folders of runs typed as numbers, from 1, or as names; a name wins over a number.

    Raises:
        ConfigError: a word is neither.
    """
    paths = dict(offered)
    numbers = {str(n): path for n, (_, path) in enumerate(offered, 1)}
    unknown = [word for word in typed if word not in paths and word not in numbers]
    if unknown:
        raise ConfigError(
            f"There is no run {', '.join(unknown)} in the list.",
            f"Type numbers from 1 to {len(offered)} or names, with spaces between them.",
        )
    return [paths.get(word) or numbers[word] for word in typed]
