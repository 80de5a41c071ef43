"""Options and steps that the commands of ``chargen experiment`` share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal

Text = Annotated[
    Path | None,
    typer.Option("--corpus", help="A text file or a prepared corpus. \\[default: shipan]"),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="PNG, SVG or PDF to write.")]


def carry_out(
    experiment: Callable[[ShowProgress], Outcome], out: Path, terminal: Terminal, *, as_json: bool
) -> None:
    """Run an experiment, draw its plot, and print its tables and findings, or JSON.

    Checks first that the plot can be written.
    """
    from chargen.inspection.plots import check_picture

    check_picture(out)
    with terminal.progress("starting", "") as on_progress:
        outcome = experiment(on_progress)
    outcome.draw(out)
    if as_json:
        report = {**outcome.to_dict(), "findings": outcome.findings()}
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        for table in outcome.tables():
            terminal.grid(table.title, table.header, table.rows)
        terminal.note("\n" + " ".join(outcome.findings()))
    terminal.say(f"Drawn: {out}")
