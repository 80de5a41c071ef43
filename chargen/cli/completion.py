"""Values that a shell suggests on Tab. Nothing here imports torch or NumPy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

from chargen.errors import ChargenError
from chargen.options import CELLS
from chargen.training.presets import PRESETS

Suggestions = list[tuple[str, str]]
"""Values, each with its meaning or an empty string."""


def own_run_names(ctx: typer.Context, incomplete: str) -> Suggestions:
    """Suggest the runs in the folder of runs, newest first, without those given already."""
    from chargen.runs.finding import name_of, runs_folder, runs_in

    try:
        names = [name_of(run) for run in runs_in(runs_folder(ctx.params.get("runs_dir")))]
    except ChargenError:
        return []
    return _runs_among(names, ctx, incomplete)


def run_names(ctx: typer.Context, incomplete: str) -> Suggestions:
    """Suggest runs as ``own_run_names`` does, and then those that come with the package."""
    from chargen.runs.shipped import SHIPPED

    own = own_run_names(ctx, incomplete)
    return own + [each for each in _runs_among(SHIPPED, ctx, incomplete) if each not in own]


def _runs_among(names: Iterable[str], ctx: typer.Context, incomplete: str) -> Suggestions:
    given = ctx.params.get("runs") or ()
    return [(name, "") for name in names if name.startswith(incomplete) and name not in given]


def runs_or_files(ctx: typer.Context, incomplete: str) -> Suggestions:
    """Suggest runs, and files and folders, such as a prepared corpus."""
    return [*run_names(ctx, incomplete), *_paths(incomplete)]


def texts(incomplete: str) -> Suggestions:
    """Suggest the shipped texts, and files and folders."""
    from chargen.corpus.shipped import SHIPPED

    shipped = [(name, "a shipped text") for name in SHIPPED if name.startswith(incomplete)]
    return shipped + _paths(incomplete)


def presets(incomplete: str) -> Suggestions:
    """Suggest presets, each with the beginning of what it is."""
    meanings = {name: re.split("[,:]", each.summary)[0] for name, each in PRESETS.items()}
    return _beginning(meanings, incomplete)


def cells(incomplete: str) -> Suggestions:
    """Suggest cells; after a comma, one for the next layer."""
    before, comma, last = incomplete.rpartition(",")
    return [(before + comma + name, "") for name in CELLS if name.startswith(last)]


def values(known: Mapping[str, str]) -> Callable[[str], Suggestions]:
    """Return a function that suggests the values of an option."""

    def suggest(incomplete: str) -> Suggestions:
        return _beginning(known, incomplete)

    return suggest


def of_option(name: str, choices: Mapping[str, str] | None) -> Callable[[str], Any] | None:
    """Return what suggests values for an option of a config; None if nothing can be suggested."""
    if name == "cell":
        return cells
    return None if choices is None else values(choices)


def _beginning(known: Mapping[str, str], incomplete: str) -> Suggestions:
    # zsh loses straight apostrophes, as Typer passes them on.
    return [(n, what.replace("'", "’")) for n, what in known.items() if n.startswith(incomplete)]


def _paths(incomplete: str) -> Suggestions:
    """Suggest what a shell would, since it doesn't once it gets other suggestions."""
    folder, slash, name = incomplete.rpartition("/")
    try:
        found: Iterable[Path] = sorted(Path(folder + slash or ".").iterdir())
        return [
            (f"{folder}{slash}{each.name}{'/' if each.is_dir() else ''}", "")
            for each in found
            if each.name.startswith(name) and not (each.name.startswith(".") and not name)
        ]
    except OSError:
        return []
