"""Workers that are actors of Ray, on this machine or on the machines of a cluster."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from chargen.errors import WorkerError
from chargen.machine.signals import held_signals
from chargen.workers.messages import Failed, Group, Hands, Lost, Message, Ready, Work
from chargen.workers.ray_cluster import Cluster
from chargen.workers.station import Inbox, serve

_SECONDS_TO_BEGIN = 120.0


class _Actor:
    """A worker as an actor: two of its methods run at once, beside the work itself."""

    def __init__(self, work: Work, threads: int) -> None:
        self._inbox: Inbox = SimpleQueue()
        self._outbox: SimpleQueue[Message] = SimpleQueue()
        self._hands: list[Hands] = []
        arguments = (work, threads, self._inbox, self._outbox.put, self._hands.append)
        self._thread = threading.Thread(target=serve, args=arguments, daemon=True)
        self._thread.start()

    def put(self, group: Group) -> None:
        self._inbox.put(group)

    def take(self) -> list[Message]:
        """Wait for messages, and return all that there are."""
        found = [self._outbox.get()]
        while True:
            try:
                found.append(self._outbox.get_nowait())
            except Empty:
                return found

    def leave(self) -> None:
        """Save and end the work in hand, if it can be, and wait for that."""
        self._inbox.put(None)
        for hands in self._hands:
            if hands.leave:
                hands.leave()
                self._thread.join()


class RayActors:
    """Actors that each do a share of the work.

    Args:
        cluster: where they run.
        work: what they do.
        gpus: GPUs of each.
        seconds_to_end: how long they have to save what they do, when they are to end; 0: none.
    """

    def __init__(
        self, cluster: Cluster, work: Work, *, gpus: int = 0, seconds_to_end: float = 0.0
    ) -> None:
        self._seconds_to_end = seconds_to_end
        self.size = cluster.workers
        self._ray, self._work, self._threads = cluster.ray, work, cluster.threads
        self._start: Callable[..., Any] = self._ray.remote(
            num_cpus=cluster.threads, num_gpus=gpus, max_concurrency=2, max_restarts=0
        )(_Actor).remote
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, int] = {}
        self._since, self._begun = time.monotonic(), False
        for worker in range(self.size):
            self._begin(worker)

    def _begin(self, worker: int) -> None:
        self._actors[worker] = self._start(self._work, self._threads)
        self._calls[self._actors[worker].take.remote()] = worker

    def send(self, worker: int, group: Group) -> None:
        self._actors[worker].put.remote(list(group))

    def wait(self, seconds: float) -> list[tuple[int, Message]]:
        # Ray turns what a handler of a signal raises into a SystemError of its own.
        with held_signals(signal.SIGINT, signal.SIGTERM) as seen:
            self._ray.wait(list(self._calls), num_returns=1, timeout=seconds)
        for number in seen:
            signal.raise_signal(number)
        ready, _ = self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        if not ready and not self._begun and time.monotonic() - self._since > _SECONDS_TO_BEGIN:
            raise WorkerError(
                f"Ray has started no worker within {_SECONDS_TO_BEGIN:.0f} seconds.",
                f"See whether the cluster has {self._threads} free processors on a machine.",
            )
        found: list[tuple[int, Message]] = []
        for call in ready:
            worker = self._calls.pop(call)
            messages = self._messages(call)
            found += [(worker, each) for each in messages]
            if not isinstance(messages[-1], (Lost, Failed)):
                self._calls[self._actors[worker].take.remote()] = worker
            self._begun |= isinstance(messages[0], Ready)
        return found

    def _messages(self, call: Any) -> list[Message]:
        try:
            found: list[Message] = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            text = str(error)
            if "No module named 'chargen" in text:
                remedy = "Install the same version of chargen on every machine of the cluster."
                return [Failed("a machine of the cluster", "It has no chargen.", remedy)]
            return [Lost(f"{type(error).__name__}, {' '.join(text.split())[:300]}")]
        return found

    def replace(self, worker: int) -> None:
        self._ray.kill(self._actors[worker])
        self._begin(worker)

    def close(self) -> None:
        if self._seconds_to_end and self._actors:
            leaving = [actor.leave.remote() for actor in self._actors.values()]
            self._ray.wait(leaving, num_returns=len(leaving), timeout=self._seconds_to_end)
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors, self._calls = {}, {}
