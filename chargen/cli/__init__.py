"""The command line: each command parses, calls ``chargen.api``, and prints."""

from __future__ import annotations

import sys

from chargen.machine.waiting import OtherPrograms


def main() -> None:
    """Run the ``chargen`` command line."""
    others = OtherPrograms()
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        from chargen.cli.app import app

        others.choose_waiting()
        app(prog_name="chargen")
    except KeyboardInterrupt:  # raised outside a command: during an import, or at exit
        sys.exit(130)
