"""The lines of a batch's output: what each stands for, and their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chargen.generation.batch.jobs import BadLine
from chargen.generation.requests import Request, Result

_MOST_WAITING = 4096
"""Lines that may wait for one before them."""


def line_key(job_id: str | int, sample: int | None = None) -> int:
    """64 bits that stand for an output line among millions."""
    text = json.dumps([job_id, sample])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Task:
    """One line of the output to be: a text to make, or what is wrong with a job."""

    id: str | int
    sample: int | None
    what: Request | BadLine

    @property
    def key(self) -> int:
        return line_key(self.id, self.sample)

    def line(self, result: Result) -> dict[str, Any]:
        line = self._head()
        line["text"] = result.text
        line["finish_reason"] = result.finish_reason
        line["characters"] = result.characters
        line["seed"] = result.seed
        if result.bits_per_char is not None:
            line["bits_per_char"] = result.bits_per_char
        return line

    def error(self) -> dict[str, Any]:
        return {**self._head(), "error": str(self.what)}

    def _head(self) -> dict[str, Any]:
        return {"id": self.id} | ({} if self.sample is None else {"sample": self.sample})


class InOrder:
    """Tasks handed out in order, and their lines given back in order.

    Attributes:
        all_taken: whether no task is left to hand out.
    """

    def __init__(self, tasks: Iterator[Task]) -> None:
        self._tasks = tasks
        self._places: dict[int, tuple[int, Task]] = {}
        self._lines: dict[int, dict[str, Any]] = {}
        self._taken = self._given = 0
        self.all_taken = False

    def requests(self) -> Iterator[Request | None]:
        """Requests for the engine: none for a while when too many lines wait for one before them.

        Ends early where only bad lines are left to be given, so that these can be.
        """
        index = 0
        for task in self._tasks:
            place, self._taken = self._taken, self._taken + 1
            if isinstance(task.what, Request):
                self._places[index] = place, task
                index += 1
                yield task.what
            else:
                self._lines[place] = task.error()
            while self._taken - self._given >= _MOST_WAITING:
                if not self._places:
                    return
                yield None
        self.all_taken = True

    def take(self, result: Result) -> None:
        place, task = self._places.pop(result.index)
        self._lines[place] = task.line(result)

    def ready(self) -> Iterator[dict[str, Any]]:
        """The lines whose turn it is."""
        while self._given in self._lines:
            yield self._lines.pop(self._given)
            self._given += 1
