"""The command line: each command parses, calls ``chargen.api``, and prints."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the ``chargen`` console script."""
    # Threads that spin while they wait for each other slow a busy machine down tenfold and more:
    # see tests/benchmarks/README.md. libgomp reads this when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        from chargen.cli.app import app

        app(prog_name="chargen")
    except KeyboardInterrupt:  # outside of any command: while it is being loaded, or afterwards
        sys.exit(130)
