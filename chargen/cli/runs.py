"""``chargen runs``: list the runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from chargen.cli.command import command
from chargen.cli.flags import Json, RunsDir

if TYPE_CHECKING:
    from chargen.inspection.listing import RunEntry
    from chargen.terminal.console import Terminal

HEADER = ("run", "text", "network", "size", "steps", "min", "bits", "")


@command()
def runs(
    runs_dir: RunsDir = None,
    *,
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """List all runs, the newest first.

    The size is the number of parameters; bits are per character, or per label of
    a classifier, on the validation split.
    """
    from chargen import api
    from chargen.runs.finding import runs_folder

    found = api.list_runs(runs_dir)
    if as_json:
        typer.echo(json.dumps([each.to_dict() for each in found], ensure_ascii=False))
    elif not found:
        terminal.say(f"There are no runs in {runs_folder(runs_dir)}. Make one with chargen train.")
    else:
        terminal.grid("", HEADER, [row_of(each) for each in found])
        for each in found:
            if each.problem:
                terminal.note(f"{each.name}: {each.problem}")


def row_of(run: RunEntry) -> tuple[str, ...]:
    """Return the cells of a run in the table of runs."""
    from chargen.terminal.words import human

    if run.problem:
        return (run.name, *[""] * 6, "damaged")
    return (
        run.name,
        run.text or "",
        run.network or "",
        human(run.parameters),
        f"{run.steps:,}",
        f"{run.minutes:.1f}",
        "–" if run.bits_per_char is None else f"{run.bits_per_char:.3f}",
        "" if run.finished else "unfinished",
    )
