"""What ``chargen inspect --neurons`` shows."""

from __future__ import annotations

import json
from pathlib import Path

import typer


def show_neurons(
    run: str | None, text: Path, *, page: Path | None, as_json: bool, quiet: bool
) -> None:
    """Write the page, and print which units follow what, or that as JSON."""
    from chargen import api
    from chargen.cli.terminal.console import Terminal

    report, written = api.neurons(text, run, out=page)
    if as_json:
        typer.echo(json.dumps({**report.ranking(), "page": str(written)}, ensure_ascii=False))
        return
    terminal = Terminal(quiet=quiet)
    rows = []
    for each in report.followed:
        pairs = zip(each.units, each.correlations, strict=True)
        found = "  ".join(f"{unit} ({r:+.2f})" for unit, r in pairs if r)
        rows.append((each.name, found or "nothing of it in this text"))
    terminal.table(f"Units of {report.run}, and how they correlate with", rows)
    terminal.say(f"The page: {written}")
