"""What a worker is, and what it reports to the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Items = Iterator[Any]
"""Items to work on; None means that there is none at the moment."""
Group = Sequence[tuple[int, Any]]
"""Items with their numbers, as they are sent to a worker."""


@dataclass(frozen=True)
class Hands:
    """A worker that is ready.

    Attributes:
        do: works on items, and yields the position of each among those that it took, from 0, with
            its result, in any order. It may end when it is given None.
        facts: what has to be the same on all workers and the driver, such as a checkpoint's hash.
        at_once: the most items that it works on at the same time.
        leave: asks the work in hand, from another thread, to be saved and ended; None: it isn't
            worth it.
    """

    do: Callable[[Items], Iterator[tuple[int, Any]]]
    facts: Mapping[str, str]
    at_once: int = 1
    leave: Callable[[], None] | None = None


class Work(Protocol):
    """What workers do. It is pickled, and begun in each of them."""

    def begin(self, threads: int) -> Hands:
        """Load what is needed, to compute on so many CPU threads."""


@dataclass(frozen=True)
class Ready:
    """The worker has begun.

    Attributes:
        host: name of its machine.
        facts: see ``Hands``, and the versions of the software.
        at_once: see ``Hands``.
    """

    host: str
    facts: Mapping[str, str]
    at_once: int


@dataclass(frozen=True)
class Done:
    """Items that are done: their numbers and results."""

    results: Sequence[tuple[int, Any]]


@dataclass(frozen=True)
class Failed:
    """The worker met an error, on the machine ``host``, and has ended.

    Attributes:
        message, remedy: of a ChargenError; of another exception there is no remedy.
    """

    host: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Lost:
    """The worker ended without a word; ``how``, as far as it is known: ``it got SIGKILL``."""

    how: str


Message = Ready | Done | Failed | Lost


class Crew(Protocol):
    """Workers of one kind, by their numbers from 0.

    Attributes:
        size: how many there are.
    """

    size: int

    def send(self, worker: int, group: Group) -> None:
        """Hand items over, without waiting for them. The loss of a worker is told by ``wait``."""

    def wait(self, seconds: float) -> list[tuple[int, Message]]:
        """Wait until a worker reports something, at most so long."""

    def replace(self, worker: int) -> None:
        """Start another worker in the place of one that ended."""

    def close(self) -> None:
        """End all workers."""
