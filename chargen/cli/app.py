"""The Typer application: one line for each command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from chargen import __version__
from chargen.cli.batch import batch
from chargen.cli.bench_generate import bench_generate
from chargen.cli.bench_train import bench_train
from chargen.cli.compare import compare
from chargen.cli.evaluate import evaluate
from chargen.cli.experiment.cells import cells
from chargen.cli.experiment.clipping import clipping
from chargen.cli.experiment.clockwork import clockwork
from chargen.cli.experiment.quality import quality
from chargen.cli.experiment.vanishing import vanishing
from chargen.cli.find_lr import find_lr
from chargen.cli.gradients import gradients
from chargen.cli.inspect import inspect
from chargen.cli.neurons import neurons
from chargen.cli.novelty import novelty
from chargen.cli.plot import plot
from chargen.cli.prepare import prepare
from chargen.cli.runs import runs
from chargen.cli.sample import sample
from chargen.cli.train import train
from chargen.cli.write import write

PANELS: Mapping[str, Mapping[str, Callable[..., None]]] = {
    "Train a network": {"train": train, "prepare": prepare, "find-lr": find_lr},
    "Generate text": {"sample": sample, "write": write, "batch": batch},
    "Score texts": {"eval": evaluate, "novelty": novelty},
    "Inspect runs": {"runs": runs, "inspect": inspect, "compare": compare, "plot": plot},
    "Analyse a network": {"gradients": gradients, "neurons": neurons},
}
EXPERIMENTS = {
    "cells": cells,
    "clockwork": clockwork,
    "vanishing": vanishing,
    "clipping": clipping,
    "quality": quality,
}
BENCHES = {"generate": bench_generate, "train": bench_train}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train a small character-level recurrent language model on your own text, and generate "
    "text with it.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chargen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)

for _group, _members, _help in (
    ("experiment", EXPERIMENTS, "Run a short experiment that ends in tables and a plot."),
    ("bench", BENCHES, "Measure speed on this machine."),
):
    _typer = typer.Typer(no_args_is_help=True, help=_help)
    for _name, _command in _members.items():
        _typer.command(_name)(_command)
    app.add_typer(_typer, name=_group, rich_help_panel="Experiments and benchmarks")
