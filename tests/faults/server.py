"""A warm process that forks one for each command, since importing torch costs seconds.

Run as a program it reads a request a line from standard input, as JSON, and answers each with a
line on standard output. ``Server`` is the other end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

SECONDS = 10
"""Of computing that a command on a tiny run may take."""
_WALL = 30.0
"""Seconds after which it hangs, even on a busy machine."""
MEMORY = 1 << 30
"""Bytes that a command may take beyond those that the warm process has."""
_WARM = (
    *("torch", "torch._dynamo", "torch.optim.adamw", "numpy.ma", "pydantic.type_adapter"),
    *("rich.live", "rich.progress", "rich.table", "safetensors.torch", "chargen.cli.app"),
    *("chargen.cli.terminal.console", "chargen.cli.terminal.live", "chargen.api.inspecting"),
    *("chargen.api.training", "chargen.api.texts", "chargen.training.recording"),
    *("chargen.training.resume", "chargen.generation.batch.run", "chargen.inspection.comparison"),
    *("chargen.inspection.gradients", "chargen.evaluation.scores", "chargen.runs.folder"),
)
"""What commands import, the slow parts of torch among them."""
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
    """

    arguments: tuple[str, ...]
    cwd: str
    streams: tuple[str | None, str | None, str | None] = (None, None, None)
    stdin: str = ""
    kill_after: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: exit status; minus the number of a signal.
        out, err: what it wrote.
        seconds: that it took.
        peak: bytes that it held beyond those of the warm process.
        hung: it ran out of time.
    """

    status: int
    out: str
    err: str
    seconds: float
    peak: int
    hung: bool


@dataclass
class _Running:
    pid: int
    command: Command
    began: float
    files: list[BinaryIO] = field(default_factory=list)


class Server:
    """Starts the warm process and asks it to run commands."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server"],
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
        assert self._process.stdin
        assert self._process.stdout
        request = {"commands": [asdict(each) for each in commands], "seconds": seconds}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return [Outcome(**each) for each in json.loads(self._process.stdout.readline())]


def serve() -> None:
    """Answer requests until there are no more."""
    for name in _WARM:
        importlib.import_module(name)

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        commands = [Command(**each) for each in request["commands"]]
        outcomes = _run(commands, request["seconds"])
        answers.write(json.dumps([asdict(each) for each in outcomes]).encode() + b"\n")
        answers.flush()


def _run(commands: Sequence[Command], seconds: float) -> list[Outcome]:
    running = [_begin(command) for command in commands]
    return [_end(each, seconds) for each in running]


def _begin(command: Command) -> _Running:
    files: list[Any] = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115 - closed in _end
    files[0].write(command.stdin.encode())
    files[0].seek(0)
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        _become(command, files)
    return _Running(pid, command, began, files)


def _become(command: Command, files: Sequence[BinaryIO]) -> None:
    """Be the command: never returns."""
    status = 70
    try:
        os.setsid()
        for number, (file, state) in enumerate(zip(files, command.streams, strict=True)):
            _connect(number, file, state)
        sys.stdin = open(0, closefd=False) if _is_open(0) else None  # noqa: SIM115
        limit = _memory("VmSize") + MEMORY + (MEMORY >> 2)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(command.cwd)
        sys.argv = ["chargen", *command.arguments]
        from chargen.cli import main

        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        if status == 70:
            import traceback

            with contextlib.suppress(OSError):
                os.write(2, traceback.format_exc().encode())
        os._exit(status)


def _connect(number: int, file: BinaryIO, state: str | None) -> None:
    """Make a file, or a stream in some state, the standard stream with that number."""
    if state == CLOSED:
        os.close(number)
        return
    if state == FULL:
        source = os.open("/dev/full", os.O_RDWR)
    elif state == BROKEN:
        reader, source = os.pipe()
        os.close(reader)
    else:
        source = file.fileno()
    os.dup2(source, number)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _end(run: _Running, seconds: float) -> Outcome:
    """Wait for a command, and kill it where it is to be killed or takes too long."""
    hung, kill_after = False, run.command.kill_after
    while True:
        pid, status, usage = os.wait4(run.pid, os.WNOHANG)
        if pid:
            break
        spent = time.monotonic() - run.began
        hung = spent > seconds
        if hung or (kill_after is not None and spent > kill_after):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            _, status, usage = os.wait4(run.pid, 0)
            break
        time.sleep(0.001)
    out, err = (_content(file) for file in run.files[1:])
    for file in run.files:
        file.close()
    return Outcome(
        os.waitstatus_to_exitcode(status),
        out,
        err,
        time.monotonic() - run.began,
        max(0, usage.ru_maxrss * 1024 - _memory("VmRSS")),
        hung,
    )


def _content(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(1 << 20).decode("utf-8", "replace")


def _memory(name: str) -> int:
    """A figure of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    serve()
