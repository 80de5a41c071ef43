"""Inside a worker: items come in, results go out, and the work never waits for either."""

from __future__ import annotations

import platform
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from queue import Empty, SimpleQueue
from typing import Any

from chargen import __version__
from chargen.errors import ChargenError
from chargen.workers.messages import Done, Failed, Group, Hands, Message, Ready, Work

_MOST_HELD = 64
"""Results that are reported together, at most."""
_SECONDS_HELD = 0.02
"""How long a result is held back for others."""
_SECONDS_TO_WAKE = 0.2
"""A signal that another thread got is heeded then: Python's handlers wait for the main thread."""

Inbox = SimpleQueue[Group | None]
"""Groups of items; None is the end."""


def versions() -> dict[str, str]:
    """What the software is called that has to be the same everywhere, and its versions."""
    try:
        torch = version("torch")
    except PackageNotFoundError:  # built from source, without metadata
        torch = "unknown"
    return {"chargen": __version__, "torch": torch}


def serve(
    work: Work,
    threads: int,
    inbox: Inbox,
    send: Callable[[Message], None],
    on_ready: Callable[[Hands], None] = lambda _: None,
) -> None:
    """Do the work until the inbox has its end, or until an error, which is sent."""
    host = platform.node()
    try:
        hands = work.begin(threads)
        on_ready(hands)
        send(Ready(host, {**versions(), **hands.facts}, hands.at_once))
        station = _Station(inbox, send)
        while station.wait():
            for position, result in hands.do(station.items()):
                station.note(position, result)
            station.report()
    except ChargenError as error:
        send(Failed(host, error.message, error.remedy))
    except (OSError, EOFError, MemoryError, RuntimeError, ValueError, ArithmeticError) as error:
        send(Failed(host, f"{type(error).__name__}: {error}", ""))


class _Station:
    def __init__(self, inbox: Inbox, send: Callable[[Message], None]) -> None:
        self._inbox, self._send = inbox, send
        self._todo: deque[tuple[int, Any]] = deque()
        self._ended = False
        self._numbers: dict[int, int] = {}
        self._done: list[tuple[int, Any]] = []
        self._reported = time.monotonic()

    def wait(self) -> bool:
        """Wait for items; False: there will be none."""
        while not self._todo and not self._ended:
            with suppress(Empty):
                self._take(self._inbox.get(timeout=_SECONDS_TO_WAKE))
        return bool(self._todo)

    def items(self) -> Iterator[Any]:
        """Yield items, and None while there are none."""
        position = 0
        while True:
            if time.monotonic() - self._reported > _SECONDS_HELD:
                self.report()
            if not self._todo and not self._ended:
                with suppress(Empty):
                    self._take(self._inbox.get_nowait())
            if self._todo:
                number, item = self._todo.popleft()
                self._numbers[position] = number
                position += 1
                yield item
            else:
                yield None

    def note(self, position: int, result: Any) -> None:
        self._done.append((self._numbers.pop(position), result))
        if len(self._done) >= _MOST_HELD:
            self.report()

    def report(self) -> None:
        if self._done:
            self._send(Done(self._done))
            self._done = []
        self._reported = time.monotonic()

    def _take(self, group: Group | None) -> None:
        if group is None:
            self._ended = True
        else:
            self._todo.extend(group)
