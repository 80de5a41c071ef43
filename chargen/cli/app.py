"""The Typer application: one line a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from chargen import __version__
from chargen.cli.batch import batch
from chargen.cli.bench_generate import bench_generate
from chargen.cli.bench_train import bench_train
from chargen.cli.boundary import bounded
from chargen.cli.compare import compare
from chargen.cli.evaluate import evaluate
from chargen.cli.experiment import cells, clipping, clockwork, gradients
from chargen.cli.inspect import inspect
from chargen.cli.novelty import novelty
from chargen.cli.plot import plot
from chargen.cli.prepare import prepare
from chargen.cli.sample import sample
from chargen.cli.train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train a small character-level recurrent language model on a text of your own, "
    "and let it write.",
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


_COMMANDS: dict[str, Callable[..., None]] = {
    "prepare": prepare,
    "train": train,
    "sample": sample,
    "batch": batch,
    "novelty": novelty,
    "eval": evaluate,
    "inspect": inspect,
    "compare": compare,
    "plot": plot,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(bounded(_command))

_bench = typer.Typer(no_args_is_help=True, help="Measure the speed on this machine.")
_bench.command("generate")(bounded(bench_generate))
_bench.command("train")(bounded(bench_train))
app.add_typer(_bench, name="bench")

_experiments = typer.Typer(
    no_args_is_help=True, help="Repeat an experiment: minutes, a table and a picture."
)
for _experiment in (cells, clockwork, gradients, clipping):
    _experiments.command(_experiment.__name__)(bounded(_experiment))
app.add_typer(_experiments, name="experiment")
