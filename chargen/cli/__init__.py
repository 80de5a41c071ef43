"""The command line: each command parses, calls ``chargen.api``, and prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from chargen.cli.streams import prepare_streams
from chargen.machine.launch import speaks
from chargen.machine.waiting import OtherPrograms

if TYPE_CHECKING:
    import typer


def main() -> None:
    """Run the ``chargen`` command line."""
    others = OtherPrograms()
    prepare_streams()
    try:
        from chargen.cli.app import app_for

        others.choose_waiting()
        try:
            _carry_out(app_for(next(iter(sys.argv[1:]), None)))
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:  # raised outside a command: during an import, or at exit
        sys.exit(130)
    except OSError as error:  # help that can't be written
        from chargen.cli.boundary import report

        sys.exit(report(error))


def _carry_out(app: typer.Typer) -> None:
    """Run the application; of several processes, one a machine shows what its parser refuses."""
    if speaks():
        app(prog_name="chargen")
        return
    try:
        status = app(prog_name="chargen", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "exit_code"):
            raise
        status = error.exit_code
    sys.exit(status)
