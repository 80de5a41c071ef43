"""``chargen plot``: the curves of runs as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chargen.cli import options as opt


def plot(
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Run folders, or names in checkpoints/; by default the newest run."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="PNG to write. \\[default: curves.png, in the run's folder if it is one run]",
        ),
    ] = None,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Draw training loss and validation of one or more runs as a PNG, and print its path."""
    from chargen import api

    typer.echo(api.plot(runs or [], out))
