"""The thread of a run's engine: texts come by a queue, and what is drawn goes back to asyncio."""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from threading import Condition, Thread

import torch

from chargen.generation.engine import Engine
from chargen.generation.requests import Chunk, Request, Result

Part = Chunk | Result | Exception
"""What comes of a text: pieces, and last its result or what went wrong."""
_PACE = 0.02
"""Seconds between pieces of a text: nobody reads faster, and each costs the engine time."""
_MANY = 64
"""Texts of which parts are kept for as long, to be handed over together; of fewer, for less.
Whenever asyncio wakes, it takes Python's lock from the engine.
"""

_CROWD = 8
"""The engine waits for a crowd where there come more than one in so many of those that run."""
_QUIET, _LONGEST = 0.001, 0.05
"""Seconds without another request after which a crowd is complete, and that it is waited for."""


class Job:
    """A text that is asked of an engine.

    Args:
        request: the text.
        deliver: called with each part, in asyncio's thread.
    """

    def __init__(self, request: Request, deliver: Callable[[Part], None]) -> None:
        self.request, self.deliver = request, deliver
        self.gone = False


class Worker:
    """The engine of a run in a thread of its own.

    Args:
        engine: whose slots are filled.
        loop: asyncio's, which is called with what several steps have made.
        on_step: called in asyncio's thread with the seconds of each step.
    """

    def __init__(
        self, engine: Engine, loop: AbstractEventLoop, on_step: Callable[[float], None]
    ) -> None:
        self._engine, self._loop, self._on_step = engine, loop, on_step
        self._lock = Condition()
        self._waiting: OrderedDict[Job, None] = OrderedDict()
        self._running: set[Job] = set()
        self._gone: list[Job] = []
        self._stopped = False
        self._made: list[tuple[Job, Part]] = []
        self._steps: list[float] = []
        self._last: float | None = None
        self._flushed = 0.0
        self._gathered = False
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Texts that have no slot yet."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Texts that have a slot."""
        return len(self._running)

    def submit(self, job: Job) -> None:
        with self._lock:
            self._waiting[job] = None
            self._lock.notify()

    def cancel(self, job: Job) -> None:
        """Drop a text; nothing more of it is delivered. One that is done already is left alone."""
        with self._lock:
            job.gone = True
            self._waiting.pop(job, None)
            if job in self._running:
                self._running.remove(job)
                self._gone.append(job)

    def stop(self, timeout: float = 5.0) -> None:
        """Drop all texts, and end the thread."""
        with self._lock:
            self._stopped = True
            self._waiting.clear()
            self._gone += self._running
            self._running.clear()
            self._lock.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        torch.set_num_threads(torch.get_num_threads())  # OpenMP keeps this for each thread
        while not self._stopped:
            try:
                parts = self._engine.serve(self._requests(), self._gone_now, self._fail, _PACE)
                for job, part in parts:
                    self._keep(job, part, last=not isinstance(part, Chunk))
            except Exception as error:
                with self._lock:
                    lost, self._running = self._running, set()
                    self._gone.clear()
                self._made += [(job, error) for job in lost]
            self._flush()

    def _requests(self) -> Iterator[tuple[Job, Request] | None]:
        """What the engine is to do next; waits where nothing is running."""
        while not self._stopped:
            if not self._running:
                self._flush()  # what was done without a step, such as a text of no characters
            with self._lock:
                if not self._running and not self._waiting:
                    self._last = None
                    self._lock.wait_for(lambda: self._waiting or self._stopped)
            self._gather()
            with self._lock:
                job = self._waiting.popitem(last=False)[0] if self._waiting else None
                if job is not None:
                    self._running.add(job)
            self._gathered = job is not None
            if job is not None:
                yield job, job.request
            elif self._running:
                yield None

    def _gather(self) -> None:
        """Wait, once before a step, for requests that come together: they are read faster alone.

        Steps in between would be for few texts, and take Python's lock from asyncio and back.
        """
        seen, until = max(1, len(self._running) // _CROWD), time.perf_counter() + _LONGEST
        while not self._gathered and len(self._waiting) > seen and time.perf_counter() < until:
            seen = len(self._waiting)
            time.sleep(_QUIET)

    def _gone_now(self) -> Iterable[Job]:
        """Called before every step."""
        now = time.perf_counter()
        if self._last is not None:
            self._steps.append(now - self._last)
        self._last = now
        if now - self._flushed >= _PACE * min(1.0, len(self._running) / _MANY):
            self._flush()
        with self._lock:
            gone, self._gone = self._gone, []
        return gone

    def _fail(self, job: Job, error: Exception) -> None:
        self._keep(job, error, last=True)

    def _keep(self, job: Job, part: Part, *, last: bool) -> None:
        if job not in self._running:
            return
        self._made.append((job, part))
        if last:
            with self._lock:
                self._running.discard(job)

    def _flush(self) -> None:
        """Hand what was made to asyncio, all at once: waking it costs a system call, and more."""
        if not self._made:
            return
        self._flushed = time.perf_counter()
        made, self._made = self._made, []
        steps, self._steps = self._steps, []
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._deliver, made, steps)

    def _deliver(self, made: list[tuple[Job, Part]], steps: list[float]) -> None:
        for seconds in steps:
            self._on_step(seconds)
        for job, part in made:
            if not job.gone:
                job.deliver(part)
