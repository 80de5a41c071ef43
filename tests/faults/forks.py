"""A warm process that forks one for each command, since importing torch costs seconds.

It first runs each command once itself, so that imports, schemas and the tree of options are there
for all that follow. Then it reads a request a line from standard input, as JSON, and answers each
with a line on standard output. ``tests.faults.server.Server`` is the other end.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tests.faults.server import BROKEN, CLOSED, FULL, MEMORY, Command, Outcome

SECONDS = 10
"""Of computing that a command on a tiny run may take."""
_TINY = ("--preset", "tiny", "--max-steps", "2", "--threads", "1", "-q")
_WARM = (
    *(("prepare", "t.txt"), ("prepare", "t.txt", "--json"), ("train", "t.txt", *_TINY)),
    *(
        ("train", "--resume", "--max-steps", "3"),
        ("train", "t.txt", "--init-from", "t-lstm-1", *_TINY[2:]),
    ),
    *(("sample", "-n", "3"), ("eval", "t-lstm-1", "t.txt", "--json"), ("gradients", "--lags", "4")),
    *(("batch", "j.jsonl", "-o", "o.jsonl"), ("batch", "j.jsonl", "-o", "o.jsonl", "--resume")),
    *(("inspect",), ("inspect", "--json"), ("compare", "t-lstm-1", "t-lstm-1"), ("--help",)),
    *(("novelty", "o.jsonl", "t.txt"), ("sample", "none"), ("--none",)),
)
"""Commands by which the warm process gets warm."""


@dataclass
class _Running:
    pid: int
    command: Command
    began: float
    files: list[BinaryIO] = field(default_factory=list)


def serve() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _warm_up()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        commands = [Command(**each) for each in request["commands"]]
        if "writer" in request:
            writer = Command(**request["writer"])
            outcomes = _run_beside(writer, Path(request["ready"]), commands, request["seconds"])
        else:
            outcomes = _run(commands, request["seconds"])
        answers.write(json.dumps([asdict(each) for each in outcomes]).encode() + b"\n")
        answers.flush()


def _warm_up() -> None:
    """Run each command once, in this process, with nothing heard of it."""
    import typer.main

    from chargen.cli import main

    # The tree of commands is built once, instead of by every process anew.
    typer.main.get_command = functools.cache(typer.main.get_command)
    heard, here = (os.dup(1), os.dup(2)), Path.cwd()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("t.txt").write_text("春眠不觉晓，处处闻啼鸟。\n" * 60, "utf-8")
        Path("j.jsonl").write_text('{"prompt": "", "length": 3}\n' * 3, "utf-8")
        for number in (1, 2):
            os.dup2(nowhere, number)
        for arguments in _WARM:
            sys.argv = ["chargen", *arguments]
            with contextlib.suppress(SystemExit):
                main()
        os.chdir(here)
    for number, stream in enumerate(heard, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.close(nowhere)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(commands: Sequence[Command], seconds: float) -> list[Outcome]:
    running = [_begin(command) for command in commands]
    return [_end(each, seconds) for each in running]


def _run_beside(
    writer: Command, ready: Path, commands: Sequence[Command], seconds: float
) -> list[Outcome]:
    writing = _begin(writer)
    while ready.exists() and time.monotonic() < writing.began + seconds:
        time.sleep(0.01)
    outcomes = [_end(_begin(command), seconds) for command in commands]
    return [_end(writing, 0, kill=True), *outcomes]


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
        try:
            importlib.import_module(command.module).main()
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


def _end(run: _Running, seconds: float, *, kill: bool = False) -> Outcome:
    """Wait for a command, and kill it where it is to be killed or takes too long."""
    hung, kill_after = False, 0.0 if kill else run.command.kill_after
    while True:
        pid, status, usage = os.wait4(run.pid, os.WNOHANG)
        if pid:
            break
        spent = time.monotonic() - run.began
        hung = spent > seconds and not kill
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
        usage.ru_utime + usage.ru_stime,
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
    os._exit(0)  # taking torch apart costs a second
