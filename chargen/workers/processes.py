"""Workers that are processes of this machine."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue

from chargen.workers.messages import Group, Lost, Message, Work
from chargen.workers.station import Inbox, serve

_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    line: Connection


class Processes:
    """Processes that each do a share of the work.

    They are started anew, not forked: a fork of a process that has used torch's threads can hang.
    So a script that is no module starts them below ``if __name__ == "__main__":``. A process that
    its driver has left, even by SIGKILL, ends at once.

    Args:
        work: what they do.
        size: how many there are.
        threads: CPU threads of each.
    """

    def __init__(self, work: Work, size: int, threads: int) -> None:
        self.size = size
        self._work, self._threads = work, threads
        self._workers = {n: self._start() for n in range(size)}

    def _start(self) -> _Worker:
        context = get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_main,
            args=(self._work, self._threads, there),
            name="chargen worker",
            daemon=True,
        )
        process.start()
        there.close()
        return _Worker(process, here)

    def send(self, worker: int, group: Group) -> None:
        with suppress(OSError):  # its end will be reported
            self._workers[worker].line.send(list(group))

    def wait(self, seconds: float) -> list[tuple[int, Message]]:
        lines = {each.line: n for n, each in self._workers.items()}
        found: list[tuple[int, Message]] = []
        for line in wait(list(lines), seconds):
            assert isinstance(line, Connection)
            n = lines[line]
            try:
                found.append((n, line.recv()))
            except (EOFError, OSError):
                found.append((n, self._loss(n)))
        return found

    def _loss(self, worker: int) -> Lost:
        process = self._workers[worker].process
        process.join(_SECONDS_TO_END)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
            return Lost("it closed its connection")
        return Lost(f"it got {signal.Signals(-code).name}" if code < 0 else f"exit status {code}")

    def replace(self, worker: int) -> None:
        self._end([self._workers[worker]])
        self._workers[worker] = self._start()

    def close(self) -> None:
        self._end(list(self._workers.values()))
        self._workers = {}

    def _end(self, workers: list[_Worker]) -> None:
        for each in workers:
            each.line.close()
            each.process.terminate()
        deadline = time.monotonic() + _SECONDS_TO_END
        for each in workers:
            each.process.join(max(0.0, deadline - time.monotonic()))
            if each.process.exitcode is None:
                each.process.kill()
                each.process.join()


def _main(work: Work, threads: int, line: Connection) -> None:
    """Run a worker; Ctrl-C is the driver's, which then ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox: Inbox = SimpleQueue()
    # Items are read at any time: a driver must not wait to send while this waits to report.
    threading.Thread(target=_receive, args=(line, inbox), daemon=True).start()
    # Results are sent beside the work: the driver may be busy with those of another worker.
    outbox: SimpleQueue[Message | None] = SimpleQueue()
    sender = threading.Thread(target=_report, args=(line, outbox), daemon=True)
    sender.start()
    serve(work, threads, inbox, outbox.put)
    outbox.put(None)
    sender.join()


def _report(line: Connection, outbox: SimpleQueue[Message | None]) -> None:
    with suppress(OSError):  # the driver has ended
        while (message := outbox.get()) is not None:
            line.send(message)


def _receive(line: Connection, inbox: Inbox) -> None:
    try:
        while True:
            inbox.put(line.recv())
    except (EOFError, OSError):  # the driver has ended
        signal.raise_signal(signal.SIGTERM)
