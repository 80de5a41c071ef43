"""The output lines of a batch: their keys, content and order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chargen.errors import GenerationError
from chargen.generation.batch.jobs import BadLine
from chargen.generation.requests import Request, Result
from chargen.workers.pool import FatalItemError

MOST_WAITING = 4096
"""The most lines that wait for an earlier one."""


def line_key(job_id: str | int, sample: int | None = None) -> int:
    """Return a 64-bit key that identifies an output line."""
    text = json.dumps([job_id, sample])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def encoded(line: dict[str, Any]) -> bytes:
    """A line of the output as it is written."""
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Task:
    """An output line to write: a text to generate, or the problems of a job."""

    id: str | int
    sample: int | None
    what: Request | BadLine
    with_prompt: bool = False

    @property
    def key(self) -> int:
        return line_key(self.id, self.sample)

    def line(self, result: Result) -> dict[str, Any]:
        if result.problem is not None:
            return self.error(result.problem)
        line = {**self._head(), **self.prompt()}
        line["text"] = result.text
        line["finish_reason"] = result.finish_reason
        line["characters"] = result.characters
        line["seed"] = result.seed
        if result.bits_per_char is not None:
            line["bits_per_char"] = result.bits_per_char
        return line

    def prompt(self) -> dict[str, str]:
        """Return the field of the prompt, where the line has it."""
        if self.with_prompt and isinstance(self.what, Request):
            return {"prompt": self.what.prompt}
        return {}

    def error(self, problem: str | None = None) -> dict[str, Any]:
        """Return the line of a job that is invalid, or of a text that has a problem."""
        return {**self._head(), "error": str(self.what) if problem is None else problem}

    def _head(self) -> dict[str, Any]:
        return {"id": self.id} | ({} if self.sample is None else {"sample": self.sample})


class InOrder:
    """Hands out tasks and returns their lines in the same order.

    Attributes:
        all_taken: whether all tasks have been handed out.
    """

    def __init__(self, tasks: Iterator[Task], most_waiting: int = MOST_WAITING) -> None:
        self._tasks, self._most_waiting = tasks, most_waiting
        self._places: dict[int, tuple[int, Task]] = {}
        self._lines: dict[int, dict[str, Any]] = {}
        self._taken = self._given = 0
        self.all_taken = False

    def requests(self) -> Iterator[Request | None]:
        """Yield requests for the engine, or None while too many lines wait for an earlier one.

        Ends early if only errors of jobs are waiting, so that they can be written.
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
            while self._taken - self._given >= self._most_waiting:
                if not self._places:
                    return
                yield None
        self.all_taken = True

    def take(self, result: Result) -> None:
        place, task = self._places.pop(result.index)
        self._lines[place] = task.line(result)

    def running(self, index: int) -> Task:
        """The task of a request that has been handed out, by its number."""
        return self._places[index][1]

    def ready(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that can be written now."""
        while self._given in self._lines:
            yield self._lines.pop(self._given)
            self._given += 1


def blamed(task: Task, error: FatalItemError) -> GenerationError:
    """The error about a job that ends every worker."""
    return GenerationError(
        f"The job {task.id!r} ended every worker that worked on it, the last ones by itself: "
        f"{error.how}.",
        "Give workers more memory and continue with `resume=True`, or leave the job out and start "
        "again with `force=True`.",
    )
