"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue

from chargen.workers.messages import Group, Hands, Lost, Message, Work
from chargen.workers.station import Inbox, serve

SECONDS_TO_END = 5.0


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
        size: how many there are.
        modules: that they import, while they wait for their work.
        seconds_to_end: how long they have to save what they do, when SIGTERM asks them to end.
    """

    def __init__(
        self,
        size: int,
        modules: Sequence[str] = (),
        *,
        seconds_to_end: float = SECONDS_TO_END,
    ) -> None:
        self.size, self._seconds_to_end = size, seconds_to_end
        self._modules = modules
        self._given: tuple[Work, int] | None = None
        self._workers = {n: self._start() for n in range(size)}

    def begin(self, work: Work, threads: int) -> Processes:
        """Have them do ``work``, each on so many CPU threads; returns this object."""
        self._given = work, threads
        for each in self._workers.values():
            self._give(each, self._given)
        return self

    @staticmethod
    def _give(worker: _Worker, work: tuple[Work, int]) -> None:
        with suppress(OSError):  # its end will be reported
            worker.line.send(work)

    def _start(self) -> _Worker:
        context = get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_main, args=(self._modules, there), name="chargen worker", daemon=True
        )
        process.start()
        there.close()
        worker = _Worker(process, here)
        if self._given:
            self._give(worker, self._given)
        return worker

    def send(self, worker: int, group: Group) -> None:
        with suppress(OSError):  # its end will be reported
            self._workers[worker].line.send(list(group))

    def wait(self, seconds: float) -> list[tuple[int, Message]]:
        numbers: dict[object, int] = {each.line: n for n, each in self._workers.items()}
        found: list[tuple[int, Message]] = []
        for ready in wait([each.line for each in self._workers.values()], seconds):
            n = numbers[ready]
            try:
                found.append((n, self._workers[n].line.recv()))
            except (EOFError, OSError):
                found.append((n, self._loss(n)))
        return found

    def _loss(self, worker: int) -> Lost:
        process = self._workers[worker].process
        process.join(SECONDS_TO_END)
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
            each.process.terminate()
        deadline = time.monotonic() + self._seconds_to_end
        for each in workers:
            each.process.join(max(0.0, deadline - time.monotonic()))
            if each.process.exitcode is None:
                each.process.kill()
                each.process.join()
            each.line.close()


def _main(modules: Sequence[str], line: Connection) -> None:
    """Run a worker; Ctrl-C is the driver's, which then ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in modules:
        import_module(name)
    try:
        work, threads = line.recv()
    except (EOFError, OSError):  # the driver has ended
        return
    inbox: Inbox = SimpleQueue()
    # Items are read at any time: a driver must not wait to send while this waits to report.
    threading.Thread(target=_receive, args=(line, inbox), daemon=True).start()
    # Results are sent beside the work: the driver may be busy with those of another worker.
    outbox: SimpleQueue[Message | None] = SimpleQueue()
    sender = threading.Thread(target=_report, args=(line, outbox), daemon=True)
    sender.start()

    def leave_on_request(hands: Hands) -> None:
        if (leave := hands.leave) is None:
            return

        def note(*_: object) -> None:
            leave()
            inbox.put(None)

        # SIGTERM may come twice: to a group of processes, and from the driver.
        signal.signal(signal.SIGTERM, note)

    serve(work, threads, inbox, outbox.put, leave_on_request)
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
    except (EOFError, OSError):  # the driver has ended: whoever follows it must find all unlocked
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
