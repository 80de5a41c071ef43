"""``chargen export``: a run for other programs, for a model hub, or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command
from chargen.cli.flags import NoNgram, Run, RunsDir
from chargen.options import ExportConfig

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal


@command(ExportConfig)
def export(
    run: Run = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder to make. \\[default: NAME-onnx, NAME-hub or NAME-page, by --to]",
        ),
    ] = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    options: dict[str, Any],
    terminal: Terminal,
) -> None:
    """Export a run to a folder, as ONNX, for a model hub, or as a page; print its path."""
    from chargen import api

    folder = api.export(run, out, runs_dir=runs_dir, ngram=not no_ngram, **options)
    for path in sorted(folder.iterdir()):
        terminal.say(f"{path.name}: {path.stat().st_size:,} bytes")
    typer.echo(folder)
