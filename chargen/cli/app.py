"""The Typer application: one line for each command, whose module is imported when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated

import typer

from chargen import __version__
from chargen.cli.switches import SwitchedCommand

PANELS: Mapping[str, Mapping[str, str]] = {
    "Train a network": {
        "train": "train",
        "prepare": "prepare",
        "find-lr": "find_lr",
        "sweep": "sweep",
        "average": "average",
    },
    "Generate text": {
        "sample": "sample",
        "write": "write",
        "batch": "batch",
        "merge": "merge",
        "infill": "infill",
    },
    "Serve runs": {"serve": "serve"},
    "Read texts": {
        "eval": "evaluate",
        "embed": "embed",
        "classify": "classify",
        "novelty": "novelty",
    },
    "Inspect runs": {"runs": "runs", "inspect": "inspect", "compare": "compare", "plot": "plot"},
    "Analyse a network": {"gradients": "gradients", "neurons": "neurons", "attention": "attention"},
    "Export a run": {"export": "export"},
}
"""Commands by panel; each is the function of its module's name."""
EXPERIMENTS = {
    "cells": "experiment.cells",
    "clockwork": "experiment.clockwork",
    "vanishing": "experiment.vanishing",
    "clipping": "experiment.clipping",
    "quality": "experiment.quality",
    "classify": "experiment.classify",
    "reverse": "experiment.reverse",
}
BENCHES = {
    "generate": "bench_generate",
    "train": "bench_train",
    "serve": "bench_serve",
    "scale": "bench_scale",
}
_GROUPS = {
    "experiment": (EXPERIMENTS, "Run a short experiment that ends in tables and a plot."),
    "bench": (BENCHES, "Measure speed on this machine."),
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chargen {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def app_for(word: str | None) -> typer.Typer:
    """Make the application for a command line whose first word is ``word``.

    If that is a command, the application has no other, so that others needn't be imported; else it
    has all of them.
    """
    known = {name for commands in PANELS.values() for name in commands} | set(_GROUPS)
    made = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Train a small character-level recurrent language model on your own text, and "
        "generate text with it.",
    )
    made.callback()(_root)
    for panel, commands in PANELS.items():
        for name, module in commands.items():
            if word == name or word not in known:
                _add(made, name, module, panel)
    for group, (members, words) in _GROUPS.items():
        if word == group or word not in known:
            inner = typer.Typer(no_args_is_help=True, help=words)
            for name, module in members.items():
                _add(inner, name, module, None)
            made.add_typer(inner, name=group, rich_help_panel="Experiments and benchmarks")
    return made


def _add(to: typer.Typer, name: str, module: str, panel: str | None) -> None:
    function = getattr(import_module(f"chargen.cli.{module}"), module.rpartition(".")[2])
    to.command(name, cls=SwitchedCommand, rich_help_panel=panel)(function)
