"""``chargen attention``: show where a network that answers looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli.command import command, unescape
from chargen.cli.flags import Json, Run, RunsDir
from chargen.errors import ConfigError

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal

_FAINT = 0.05


@command()
def attention(
    run: Run = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", "-p", help=r"Line to answer; \n and other escapes are understood."
        ),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option("--answer", help="Answer to look at. \\[default: the likeliest one]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG, SVG or PDF to draw the matrix to.")
    ] = None,
    runs_dir: RunsDir = None,
    *,
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Show how much each character of an answer looks at each character of its line.

    The run must have learnt to answer with attention. The rows of the table are the characters of
    the answer, the columns those of the line.
    """
    from chargen import api

    if prompt is None:
        raise ConfigError("There is no line to answer.", "Give one as `prompt`.")
    report = api.attention(unescape(prompt), run, answer=answer, runs_dir=runs_dir, out=out)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        rows = [
            (name, *("·" if share < _FAINT else f"{share:.0%}" for share in shares))
            for name, shares in zip(report.rows, report.weights.tolist(), strict=True)
        ]
        terminal.grid(f"{report.text} → {report.answer}", ("", *report.columns), rows)
    if out is not None:
        terminal.say(f"Drawn: {out}")
