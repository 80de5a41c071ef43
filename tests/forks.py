"""A warm process that forks one for each command, since importing torch costs seconds.

It first runs each command once itself, so that imports, schemas and the tree of options are there
for all that follow. Then it takes requests from its clients, ``tests.processes``, by a socket: what
to run, and its standard streams. It answers with the number of the process, and when that has ended
with how. It ends when nobody is connected any more.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

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
    *(("novelty", "o.jsonl", "t.txt"), ("sample", "none"), ("--none",), ("serve", "none")),
)
"""Commands by which the warm process gets warm."""
_PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when its parent ends, however that comes."""
_LONGEST = 1 << 17
"""Bytes of a request."""


def kill(pid: int) -> None:
    """Kill a process that was forked, with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:  # it leads no session yet, so that it has started nothing
            os.kill(pid, signal.SIGKILL)


class Forks:
    """Serves requests until its clients have left."""

    def __init__(self, address: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(address)
        self._listener.listen()
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for each in (self._listener, self._woken):
            self._selector.register(each, selectors.EVENT_READ)
        self._clients: set[socket.socket] = set()
        self._running: dict[int, socket.socket] = {}
        self._met = False

    def serve(self) -> None:
        while self._clients or not self._met:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    client, _ = self._listener.accept()
                    self._selector.register(client, selectors.EVENT_READ)
                    self._clients.add(client)
                    self._met = True
                elif key.fileobj is self._woken:
                    self._woken.recv(_LONGEST)
                    self._note_ends()
                else:
                    self._answer(key.fileobj)

    def _answer(self, client: Any) -> None:
        try:
            message, streams, _, _ = socket.recv_fds(client, _LONGEST, 3)
        except ConnectionError:
            message, streams = b"", []
        if not message:
            self._selector.unregister(client)
            self._clients.discard(client)
            client.close()
            for pid in [pid for pid, asked in self._running.items() if asked is client]:
                kill(pid)  # nobody waits for it
            return
        pid = os.fork()
        if not pid:
            self._close()
            _become(json.loads(message), streams)
        for stream in streams:
            os.close(stream)
        self._running[pid] = client
        self._tell(client, pid=pid)

    def _note_ends(self) -> None:
        while self._running:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            self._tell(
                self._running.pop(pid),
                status=os.waitstatus_to_exitcode(status),
                cpu=usage.ru_utime + usage.ru_stime,
                peak=max(0, usage.ru_maxrss * 1024 - _memory("VmRSS")),
            )

    @staticmethod
    def _tell(client: socket.socket, **words: float) -> None:
        with contextlib.suppress(OSError):  # it has left
            client.send(json.dumps(words).encode())

    def _close(self) -> None:
        """Leave nothing of the warm process open in a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for each in (self._listener, self._woken, self._waker, *self._clients):
            each.close()


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


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Be what was asked for: a module's ``main``, or a script."""
    status = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _connect(streams, request["closed"])
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        if request["memory"]:
            limit = _memory("VmSize") + request["memory"]
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"] + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            if request["code"]:
                sys.argv = ["-c", *request["arguments"]]
                exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
            else:
                sys.argv = ["chargen", *request["arguments"]]
                importlib.import_module(request["module"]).main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(status)


def _connect(streams: list[int], closed: list[int]) -> None:
    """Make files the standard streams, as an interpreter finds them when it starts."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        if stream > 2:
            os.close(stream)
    for number in closed:
        os.close(number)
    sys.stdin, sys.stdout, sys.stderr = (
        None if n in closed else open(n, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        for n, mode in enumerate(("r", "w", "w"))
    )


def _memory(name: str) -> int:
    """A figure of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def main() -> NoReturn:
    address = sys.argv[1]
    _warm_up()
    gc.collect()
    gc.freeze()
    forks = Forks(address)
    os.write(1, b"warm\n")
    forks.serve()
    for path in (address, f"{address}.lock"):
        Path(path).unlink(missing_ok=True)
    os._exit(0)  # taking torch apart costs a second


if __name__ == "__main__":
    main()
