"""The command line: each command parses, calls ``chargen.api``, and prints."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the ``chargen`` console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
    from chargen.cli.app import app

    app(prog_name="chargen")
