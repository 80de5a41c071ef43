"""The driver of workers, whatever their kind: what is lost with one of them is done again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from chargen.errors import WorkerError
from chargen.workers.messages import Crew, Done, Failed, Lost, Message, Ready
from chargen.workers.station import versions

_SECONDS = 1.0
"""Between looks at what the caller may want meanwhile, such as Ctrl-C on Windows."""
_IN_COMPANY, _ALONE = 2, 2
"""How many workers an item may take down, among others and then by itself."""
_MOST_FATAL = 16
"""Items that are given up in a row: more are the fault of something else."""


class FatalItemError(WorkerError):
    """An item has ended every worker that worked on it; ``number`` is its, from 0."""

    def __init__(self, number: int, how: str) -> None:
        self.number, self.how = number, how
        super().__init__(
            f"Item {number + 1} ended {_IN_COMPANY + _ALONE} workers, the last ones by itself: "
            f"{how}.",
            "Leave it out, or give the workers more memory.",
        )


class Pool:
    """Gives items to workers in small groups, as they have room for them.

    A worker holds two groups or twice what it works on at once, so that it never waits for the
    driver; memory is bounded by that. Long items are not sent ahead of their work: another worker
    may be free before. The items of a worker that is lost are given to others
    first. An item that was being worked on in the loss of two workers is given to one that has
    nothing else; when that is lost twice as well, the item is to blame: that is an error, or the
    item's result.

    Args:
        start: starts the workers, when the first item is there.
        facts: what each of them must report, besides its versions.
        size: how many there are.
        group: items that are sent together.
        ahead: whether items are sent ahead, while the worker has work.
        keep_going: whether an item that is to blame has a FatalItemError as its result.

    Attributes:
        size: how many workers there are.
        lost: how many were lost so far.
    """

    def __init__(
        self,
        start: Callable[[], Crew],
        facts: Mapping[str, str],
        *,
        size: int,
        group: int = 1,
        ahead: bool = True,
        keep_going: bool = False,
    ) -> None:
        self.size, self.lost = size, 0
        self._start, self._facts, self._group = start, {**versions(), **facts}, group
        self._crew: Crew | None = None
        self._room: dict[int, int] = {}
        self._held: dict[int, dict[int, Any]] = {}
        self._again: deque[tuple[int, Any]] = deque()
        self._alone: deque[tuple[int, Any]] = deque()
        self._losses: Counter[int] = Counter()
        self._keep_going, self._rounds = keep_going, 2 if ahead else 1
        self._failed_starts = self._lost_in_a_row = self._fatal_in_a_row = 0
        self._items: Iterator[Any] = iter(())
        self._taken, self._all_taken = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._crew is not None:
            self._crew.close()
            self._crew = None

    def spread(self, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """Have items worked on, and yield the number of each, from 0, with its result.

        Args:
            items: None among them means that there is none until something is done.

        Raises:
            WorkerError: workers fail, don't start, or are not like the driver.
        """
        self._items, self._taken, self._all_taken = iter(items), 0, False
        while True:
            self._hand_out()
            if self._all_taken and not (self._again or self._alone or any(self._held.values())):
                return
            if self._crew is None:  # only None was there
                continue
            for worker, message in self._crew.wait(_SECONDS):
                yield from self._note(worker, message)

    def _note(self, worker: int, message: Message) -> Iterator[tuple[int, Any]]:
        if isinstance(message, Done):
            self._lost_in_a_row = self._fatal_in_a_row = 0
            held = self._held[worker]
            for number, result in message.results:
                del held[number]
                self._losses.pop(number, None)
                yield number, result
        elif isinstance(message, Ready):
            self._compare(message)
            self._failed_starts = 0
            self._room[worker] = self._rounds * max(message.at_once, self._group)
        elif isinstance(message, Failed):
            raise WorkerError(
                f"The worker on {message.host}: {message.message}",
                message.remedy or "Look for its cause on that machine.",
            )
        else:
            yield from self._lose(worker, message)

    def _compare(self, ready: Ready) -> None:
        for name, ours in self._facts.items():
            if (theirs := ready.facts.get(name)) != ours:
                raise WorkerError(
                    f"The worker on {ready.host} has {name.replace('_', ' ')} {theirs}, and this "
                    f"process has {ours}.",
                    "Use the same on all machines.",
                )

    def _lose(self, worker: int, loss: Lost) -> Iterator[tuple[int, FatalItemError]]:
        """Take back what a worker had, and start another one; yield what is given up."""
        held: dict[int, Any] = self._held.pop(worker, {})
        room = self._room.pop(worker, None)
        self.lost += 1
        self._lost_in_a_row += 1
        self._failed_starts += room is None
        assert self._crew is not None
        if self._failed_starts > self._crew.size or self._lost_in_a_row > 4 * self._crew.size + 8:
            when = "while they start" if room is None else "before they have done anything"
            raise WorkerError(
                f"Workers end {when}: {loss.how}.",
                "Use fewer workers if memory is short; a script starts them below "
                '`if __name__ == "__main__":`.',
            )
        by_itself = len(held) == 1 and self._losses[next(iter(held))] >= _IN_COMPANY
        for place, (number, item) in enumerate(held.items()):
            self._losses[number] += place < (room or 0) // self._rounds
            if self._losses[number] >= _IN_COMPANY + _ALONE and by_itself:
                yield number, self._given_up(number, loss)
                continue
            (self._alone if self._losses[number] >= _IN_COMPANY else self._again).append(
                (number, item)
            )
        self._crew.replace(worker)

    def _given_up(self, number: int, loss: Lost) -> FatalItemError:
        error = FatalItemError(number, loss.how)
        self._fatal_in_a_row += 1
        self._lost_in_a_row = 0
        if not self._keep_going or self._fatal_in_a_row > _MOST_FATAL:
            raise error
        del self._losses[number]
        return error

    def _hand_out(self) -> None:
        """Give a group at a time to the worker that has least, while one has room."""
        if self._crew is None:
            if (first := self._next()) is None:
                return
            self._again.append(first)
            self._crew = self._start()
        while True:
            free = [n for n, room in self._room.items() if self._has_room(n, room)]
            if not free:
                return
            worker = min(free, key=lambda n: len(self._held.get(n, ())))
            held = self._held.setdefault(worker, {})
            if self._alone and not held:
                group = [self._alone.popleft()]
            else:
                group = list(self._some(self._group))
            if not group:
                return
            held.update(group)
            self._crew.send(worker, group)

    def _has_room(self, worker: int, room: int) -> bool:
        held = self._held.get(worker, {})
        if self._alone:
            return not held
        if any(self._losses[number] >= _IN_COMPANY for number in held):
            return False
        return len(held) <= room - self._group

    def _some(self, most: int) -> Iterator[tuple[int, Any]]:
        for _ in range(most):
            item = self._again.popleft() if self._again else self._next()
            if item is None:
                return
            yield item

    def _next(self) -> tuple[int, Any] | None:
        """The next new item and its number; None: there is none, at least for now."""
        if self._all_taken:
            return None
        try:
            item = next(self._items)
        except StopIteration:
            self._all_taken = True
            return None
        if item is None:
            return None
        self._taken += 1
        return self._taken - 1, item
