"""Commands as processes of their own: forks of a warm one on Linux, see ``tests.forks``."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests import forks

ROOT = Path(__file__).parents[1]
_CAN_FORK = sys.platform == "linux"
PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
_SETTINGS = {"OMP_NUM_THREADS": "1", "CHARGEN_RUNS": "", "CUDA_VISIBLE_DEVICES": ""}
"""CUDA can't be used after a fork."""


class Forked:
    """A process that the warm one has forked: what ``subprocess.Popen`` is for others.

    Attributes:
        pid: of the process, which leads a session of its own.
        returncode: exit status, or minus the number of a signal; None: it runs.
        cpu: seconds that it computed, once it has ended.
        peak: bytes that it held beyond those of the warm process, once it has ended.
        stdin, stdout, stderr: our ends of the pipes that were asked for.
    """

    def __init__(
        self,
        address: str,
        arguments: tuple[object, ...],
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        module: str = "chargen.cli",
        code: str = "",
        closed: tuple[int, ...] = (),
        memory: int = 0,
        seconds: int = 0,
        text: bool = False,
        encoding: str | None = None,
        bufsize: int = -1,
    ) -> None:
        self.returncode: int | None = None
        self.cpu, self.peak = 0.0, 0
        words = {
            "arguments": [os.fsdecode(a) if isinstance(a, bytes) else str(a) for a in arguments],
            "cwd": str(cwd or Path.cwd()),
            "env": {**(os.environ if env is None else env), "CUDA_VISIBLE_DEVICES": ""},
            "module": module,
            "code": code,
            "closed": closed,
            "memory": memory,
            "seconds": seconds,
        }
        encoding = encoding or ("utf-8" if text else None)
        ours: list[IO[Any] | None] = []
        theirs: list[int] = []
        for number, asked in enumerate((stdin, stdout, stderr)):
            if asked == PIPE:
                ends = os.pipe()
                mine, other = ends if number else ends[::-1]
                mode = ("r" if number else "w") + ("" if encoding else "b")
                ours.append(os.fdopen(mine, mode, -1 if encoding else bufsize, encoding=encoding))
            else:
                ours.append(None)
                other = _duplicate(number, asked, theirs)
            theirs.append(other)
        self.stdin, self.stdout, self.stderr = ours
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.connect(address)
        socket.send_fds(self._line, [json.dumps(words).encode()], theirs)
        for each in theirs:
            os.close(each)
        self.pid = int(json.loads(self._line.recv(1000))["pid"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        self._close_pipes()
        self.wait()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            end = json.loads(self._line.recv(1000))
            self._line.close()
            self.returncode, self.cpu, self.peak = end["status"], end["cpu"], end["peak"]
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read what it writes until its end, and wait for that."""
        read: list[Any] = [None, None]

        def drain(n: int, stream: IO[Any]) -> None:
            read[n] = stream.read()

        streams = [(n, each) for n, each in enumerate((self.stdout, self.stderr)) if each]
        threads = [threading.Thread(target=drain, args=each, daemon=True) for each in streams]
        deadline = None if timeout is None else time.monotonic() + timeout
        for each in threads:
            each.start()
        for each in threads:
            each.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self._close_pipes()
        return read[0], read[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with all that it has started."""
        if self.poll() is None:
            forks.kill(self.pid)

    def _close_pipes(self) -> None:
        for each in (self.stdin, self.stdout, self.stderr):
            if each is not None:
                with contextlib.suppress(BrokenPipeError):
                    each.close()


def _duplicate(number: int, asked: Any, before: list[int]) -> int:
    """The descriptor that a process gets as one of its standard streams."""
    if asked is None:
        return os.dup(number)
    if asked == DEVNULL:
        return os.open(os.devnull, os.O_RDWR)
    if asked == STDOUT:
        return os.dup(before[1])
    return os.dup(asked if isinstance(asked, int) else asked.fileno())


class Warm:
    """The warm process, which lives as long as somebody is connected to it.

    Args:
        address: where others find it; what is there already is used.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process: subprocess.Popen[str] | None = None
        try:
            self._line.connect(address)
        except OSError:
            Path(address).unlink(missing_ok=True)
            self._start()
            self._line.connect(address)

    def _start(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forks", self.address],
            stdin=DEVNULL,
            stdout=PIPE,
            cwd=ROOT,
            env={**os.environ, **_SETTINGS},
            text=True,
        )
        assert process.stdout
        with process.stdout as said:
            ready = said.readline()
        if ready != "warm\n":
            process.wait()
            raise AssertionError("The warm process failed.")
        self._process = process

    def fork(self, *arguments: object, **options: Any) -> Forked:
        return Forked(self.address, arguments, **options)

    def close(self) -> None:
        """Leave it; whoever has started it waits until all others have left it, too."""
        self._line.close()
        if self._process is not None:
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_shared: list[Warm] = []


def warm() -> Warm:
    """The warm process of this run of the tests, which all its workers share."""
    if not _shared:
        from filelock import FileLock

        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        address = Path(tempfile.gettempdir()) / f"chargen-tests-{run[:12]}"
        with FileLock(f"{address}.lock"):
            _shared.append(Warm(str(address)))
    return _shared[0]


def command(*arguments: object) -> list[str]:
    """The command line of a process that starts an interpreter of its own."""
    return [sys.executable, "-m", "chargen", *map(str, arguments)]


def start(*arguments: object, **options: Any) -> Any:
    """Start a command in a process of its own, with options as those of ``subprocess.Popen``."""
    if _CAN_FORK:
        return warm().fork(*arguments, **options)
    return subprocess.Popen(command(*arguments), **options)


def start_script(code: str, *arguments: object, **options: Any) -> Any:
    """Start a script in Python, as ``python -c`` does."""
    if _CAN_FORK:
        return warm().fork(*arguments, code=code, **options)
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], **options)


def shell(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own, to its end."""
    environment = {**os.environ, **(env or {})}
    with start(*arguments, cwd=cwd, env=environment, stdout=PIPE, stderr=PIPE) as process:
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess([*map(str, arguments)], process.returncode, out, err)


def leave() -> None:
    """Have the warm process end, unless another worker uses it."""
    while _shared:
        _shared.pop().close()
