"""The command line: each command parses, calls ``chargen.api``, and prints."""

from __future__ import annotations

import sys

from chargen.cli.streams import prepare_streams
from chargen.machine.waiting import OtherPrograms


def main() -> None:
    """Run the ``chargen`` command line."""
    others = OtherPrograms()
    prepare_streams()
    try:
        from chargen.cli.app import app_for

        others.choose_waiting()
        try:
            app_for(next(iter(sys.argv[1:]), None))(prog_name="chargen")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:  # raised outside a command: during an import, or at exit
        sys.exit(130)
    except OSError as error:  # help that can't be written
        from chargen.cli.boundary import report

        sys.exit(report(error))
