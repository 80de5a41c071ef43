"""Runs commands by a warm process that forks one for each: see ``tests.faults.forks``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_WALL = 30.0
"""Seconds after which it hangs, even on a busy machine."""
MEMORY = 1 << 30
"""Bytes that a command may take beyond those that the warm process has."""
_SETTINGS = {"OMP_NUM_THREADS": "1", "CHARGEN_RUNS": "", "CUDA_VISIBLE_DEVICES": ""}
"""CUDA can't be used after a fork."""
CLOSED, FULL, BROKEN = "closed", "full", "broken"
"""States of a standard stream."""


@dataclass(frozen=True)
class Command:
    """A command line to run.

    Attributes:
        arguments: of ``chargen``; bytes that are no UTF-8 as surrogates.
        cwd: where.
        streams: the states of standard input, output and error; None: as usual.
        stdin: what comes in.
        kill_after: seconds after which it gets SIGKILL.
        module: whose ``main`` it is.
    """

    arguments: tuple[str, ...]
    cwd: str
    streams: tuple[str | None, str | None, str | None] = (None, None, None)
    stdin: str = ""
    kill_after: float | None = None
    module: str = "chargen.cli"


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: exit status; minus the number of a signal.
        out, err: what it wrote.
        seconds: that it took.
        cpu: seconds that it computed.
        peak: bytes that it held beyond those of the warm process.
        hung: it ran out of time.
    """

    status: int
    out: str
    err: str
    seconds: float
    cpu: float
    peak: int
    hung: bool


class Server:
    """Starts the warm process and asks it to run commands."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, **_SETTINGS},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def run(self, *commands: Command, seconds: float = _WALL) -> list[Outcome]:
        """Run commands at once, to their ends."""
        return self._ask(commands=[asdict(each) for each in commands], seconds=seconds)

    def run_beside(self, writer: Command, ready: Path, *commands: Command) -> list[Outcome]:
        """Run commands one after another while ``writer`` works, which is killed at the end.

        Args:
            writer: the command that goes on all the time.
            ready: the first command begins when the writer has removed this.
            commands: the others.

        Returns:
            The outcomes, the writer's first.
        """
        beside = {"writer": asdict(writer), "ready": str(ready)}
        return self._ask(commands=[asdict(each) for each in commands], seconds=_WALL, **beside)

    def _ask(self, **request: Any) -> list[Outcome]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return [Outcome(**each) for each in json.loads(self._process.stdout.readline())]
