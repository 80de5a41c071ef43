"""``chargen merge``: join the outputs of the shards of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli.command import command

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal


@command()
def merge(
    outputs: Annotated[
        list[Path],
        typer.Argument(
            help="Outputs of batch --shard, all of them; the files beside them are passed over.",
            show_default=False,
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="File to write; - is standard output.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
    *,
    terminal: Terminal,
) -> None:
    """Join the outputs of all shards of a batch, in the order of the jobs."""
    from chargen import api
    from chargen.generation.batch.output import name_of_output

    lines = api.merge(outputs, out, force=force)
    terminal.say(f"{lines:,} lines to {name_of_output(out)}")
