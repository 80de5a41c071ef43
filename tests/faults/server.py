"""Runs commands by a warm process that forks one for each, with bounds: see ``tests.forks``."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tests.processes import Forked, Warm

_WALL = 30.0
"""Seconds after which it hangs, even on a busy machine."""
MEMORY = 1 << 30
"""Bytes that a command may take beyond those that the warm process has."""
SECONDS = 10
"""Of computing that a command on a tiny run may take."""
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


@dataclass
class _Running:
    command: Command
    began: float
    process: Forked
    files: list[BinaryIO] = field(default_factory=list)


class Server:
    """Has a warm process run commands."""

    def __init__(self, warm: Warm) -> None:
        self._warm = warm

    def run(self, *commands: Command, seconds: float = _WALL) -> list[Outcome]:
        """Run commands at once, to their ends."""
        running = [self._begin(command) for command in commands]
        return [_end(each, seconds) for each in running]

    def run_beside(self, writer: Command, ready: Path, *commands: Command) -> list[Outcome]:
        """Run commands one after another while ``writer`` works, which is killed at the end.

        Args:
            writer: the command that goes on all the time.
            ready: the first command begins when the writer has removed this.
            commands: the others.

        Returns:
            The outcomes, the writer's first.
        """
        writing = self._begin(writer)
        while ready.exists() and time.monotonic() < writing.began + _WALL:
            time.sleep(0.01)
        outcomes = [_end(self._begin(command), _WALL) for command in commands]
        return [_end(writing, 0, kill=True), *outcomes]

    def _begin(self, command: Command) -> _Running:
        files: list[Any] = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115 - closed in _end
        files[0].write(command.stdin.encode())
        files[0].seek(0)
        streams = [_stream(*each) for each in zip(files, command.streams, strict=True)]
        began = time.monotonic()
        process = self._warm.fork(
            *command.arguments,
            cwd=command.cwd,
            env={**os.environ, "CHARGEN_RUNS": ""},
            module=command.module,
            **dict(zip(("stdin", "stdout", "stderr"), streams, strict=True)),
            closed=tuple(n for n, state in enumerate(command.streams) if state == CLOSED),
            memory=MEMORY + (MEMORY >> 2),
            seconds=SECONDS,
        )
        for stream in streams:
            os.close(stream)
        return _Running(command, began, process, files)


def _stream(file: BinaryIO, state: str | None) -> int:
    """A file, or a stream in some state, as a descriptor."""
    if state == FULL:
        return os.open("/dev/full", os.O_RDWR)
    if state == BROKEN:
        reader, writer = os.pipe()
        os.close(reader)
        return writer
    return os.dup(file.fileno())


def _end(run: _Running, seconds: float, *, kill: bool = False) -> Outcome:
    """Wait for a command, and kill it where it is to be killed or takes too long."""
    killed_after = 0.0 if kill else run.command.kill_after
    most = seconds if killed_after is None else killed_after
    hung = False
    try:
        run.process.wait(max(0.0, run.began + most - time.monotonic()))
    except subprocess.TimeoutExpired:
        hung = killed_after is None
        run.process.kill()
    status = run.process.wait()
    out, err = (_content(file) for file in run.files[1:])
    for file in run.files:
        file.close()
    spent = time.monotonic() - run.began
    return Outcome(status, out, err, spent, run.process.cpu, run.process.peak, hung)


def _content(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(1 << 20).decode("utf-8", "replace")
