"""``chargen serve``: runs over HTTP."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.completion import run_names
from chargen.cli.flags import NoNgram, RunsDir
from chargen.options import BatchConfig, ServeConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal

_Served = Annotated[
    list[str] | None,
    typer.Argument(
        help="Run folders or names of runs, the first of which is the default; where none is "
        "named, all in the folder of runs, the newest one that has finished first, and those that "
        "come with chargen.",
        autocompletion=run_names,
    ),
]


@command(ServeConfig, only(BatchConfig, "device"), only(TrainConfig, "threads"))
def serve(
    runs: _Served = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    options: dict[str, Any],
    terminal: Terminal,
) -> None:
    """Serve runs over HTTP, in the shape of OpenAI's API.

    Clients on this machine need no key; on an address that other machines can reach, the server
    wants an API key (or --insecure). SIGTERM and Ctrl-C finish the texts that are being written.
    """
    from chargen import api

    def log(line: str) -> None:
        if not terminal.quiet:
            print(line, file=sys.stderr, flush=True)

    def show(error: BaseException) -> None:
        print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)

    api.serve(
        runs or (),
        runs_dir=runs_dir,
        ngram=not no_ngram,
        on_ready=lambda address: terminal.say(f"Listening on {address}; Ctrl-C ends."),
        say=terminal.say,
        access=log,
        on_bug=show,
        **options,
    )
