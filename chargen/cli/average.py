"""``chargen average``: several runs as one, which predicts better than they do on average."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli.command import command
from chargen.cli.completion import run_names
from chargen.cli.flags import Json, RunsDir

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal


@command()
def average(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Run folders or names of runs; the folder of a sweep stands for all runs in it.",
            show_default=False,
            autocompletion=run_names,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the new run. \\[default: TEXT-average-NUMBER]"),
    ] = None,
    runs_dir: RunsDir = None,
    *,
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Make one run of several that learnt a text from different seeds; print its path.

    Its logits are the means of theirs: it predicts better than they do on average, and as a rule
    better than any of them, and writes more slowly. It is a network of the same kind with the units
    of all of them, and can be used as any other run.
    """
    from chargen import api

    made = api.average(runs, name=name, runs_dir=runs_dir)
    if as_json:
        typer.echo(json.dumps(made.to_dict(), ensure_ascii=False))
        return
    for run, bits in (*made.runs.items(), ("average", made.bits_per_char)):
        terminal.say(f"{run}: {_bits(bits)}")
    for note in made.notes:
        terminal.say(note)
    typer.echo(made.path)


def _bits(bits: float | None) -> str:
    return "not measured" if bits is None else f"{bits:.4f} bits per character"
