"""``chargen neurons``: show what each unit of a network does while it reads a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli.command import command
from chargen.cli.flags import Json, NamedRun, NoNgram, RunsDir
from chargen.cli.order import check_order

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal


@command()
def neurons(
    run: NamedRun,
    file: Annotated[Path, typer.Argument(help="A text file.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="HTML page to write. \\[default: neurons.html in the run folder]"
        ),
    ] = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Write a page that shows what each unit of a network does while it reads a text.

    Also prints the units that correlate with properties of the text (the position in the line,
    quotation marks, commas and others) more than any unit does where the text's blocks have changed
    places, in 19 other orders.
    """
    from chargen import api

    check_order("neurons", run, file, runs_dir)
    report, written = api.neurons(file, run, runs_dir=runs_dir, ngram=not no_ngram, out=out)
    if as_json:
        typer.echo(json.dumps({**report.ranking(), "page": str(written)}, ensure_ascii=False))
        return
    rows = []
    for each in report.followed:
        pairs = zip(each.units, each.correlations, strict=True)
        found = "  ".join(f"{unit} ({r:+.2f})" for unit, r in pairs)
        none = f"none; chance alone gives correlations up to ±{each.chance:.2f}"
        rows.append((each.name, found or (none if each.occurs else "does not occur in this text")))
    terminal.table(
        f"Units of {report.run} that follow a property of the text (and their correlation)", rows
    )
    terminal.say(f"Written: {written}")
