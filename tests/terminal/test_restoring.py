from __future__ import annotations

import signal
import subprocess
import sys

import pytest

LEAVES = b"\x1b[?1049l\x1b[?25h"
PROGRAM = """
import os, signal, sys
from chargen.terminal.restoring import restored_terminal
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
with restored_terminal(1):
    {inside}
os.write(1, b"after")
"""


def end_of(inside: str) -> tuple[int, bytes]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(inside=inside)], capture_output=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_deadly_signal_gives_the_terminal_back_first(name: str) -> None:
    number = getattr(signal, name)
    assert end_of(f"signal.raise_signal({int(number)})") == (-number, LEAVES)


def test_an_exit_from_inside_gives_it_back() -> None:
    inside = "import threading; block = restored_terminal(1); block.__enter__(); sys.exit(3)"
    assert end_of(inside)[1].endswith(LEAVES)


def test_a_block_that_ends_writes_nothing_and_leaves_handlers_alone() -> None:
    inside = "pass"
    assert end_of(inside) == (0, b"after")
    handler = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); signal.raise_signal(15)"
    assert end_of(f"exec({handler!r})") == (5, b"")
