"""``chargen plot``: draw the curves of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chargen.cli.command import command
from chargen.cli.flags import Runs, RunsDir


@command()
def plot(
    runs: Runs = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="PNG, SVG or PDF to write. \\[default: curves.png, in the run folder if there is "
            "one run]",
        ),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Draw training and validation loss of one or more runs, and print the path of the picture."""
    from chargen import api

    typer.echo(api.plot(runs or [], out, runs_dir=runs_dir))
