"""What a batch has written already, checked line by line before more is appended."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chargen.errors import GenerationError
from chargen.generation.batch.lines import Task, encoded, line_key
from chargen.generation.requests import Request
from chargen.generation.seeds import text_seeds

if TYPE_CHECKING:
    from hashlib import _Hash

MOST_LINE_BYTES = 1 << 28
_REASONS = ("length", "stop", "end", "form")
_FIELDS = {"id", "text", "finish_reason", "characters", "seed"}
_MORE_FIELDS = {"sample", "bits_per_char", "prompt"}
_KINDS = {
    "id": (str, int),
    "sample": (int,),
    "text": (str,),
    "finish_reason": (str,),
    "characters": (int,),
    "seed": (int,),
    "bits_per_char": (float,),
    "prompt": (str,),
}


@dataclass
class Written:
    """How much of the output there is, and what identifies it.

    Attributes:
        lines, errors: of the output, and how many of them are errors.
        byte_count: of all lines.
        keys: of the texts, sorted, where the output has no order.
    """

    lines: int = 0
    errors: int = 0
    byte_count: int = 0
    keys: np.ndarray[Any, np.dtype[np.uint64]] = field(default_factory=lambda: np.empty(0, "u8"))
    _digest: _Hash = field(default_factory=hashlib.sha256)

    def add(self, line: bytes) -> None:
        self.lines += 1
        self.byte_count += len(line)
        self._digest.update(line)

    def record(self) -> dict[str, Any]:
        """What the file beside the output keeps of it."""
        return {
            "lines": self.lines,
            "bytes": self.byte_count,
            "sha256": self._digest.copy().hexdigest(),
        }


def check_written(
    path: Path, tasks: Iterator[Task], record: Mapping[str, Any] | None, *, ordered: bool
) -> Written:
    """Compare an output with its jobs, and cut off what a kill left of a last line.

    Every line has the id, the sample and the seed of a job. The part that ``record`` is about also
    has the digest in it; where the file is shorter by now, there is no such part.

    Args:
        path: of the output.
        tasks: all lines that there are to be.
        record: ``Written.record()`` of an earlier time; None: none was kept.
        ordered: whether the lines have the order of the jobs.

    Raises:
        GenerationError: names the first line that is something else.
        OSError: the file can't be read or cut.
    """
    expected: _InOrder | _InAnyOrder = _InOrder(tasks) if ordered else _InAnyOrder(tasks)
    found = Written()
    compared = record is None or record == found.record()  # nothing was written by then
    with path.open("rb+") as file:
        while (line := file.readline(MOST_LINE_BYTES)).endswith(b"\n"):
            if problem := expected.problem(line):
                raise _not_ours(path, f"line {found.lines + 1}: {problem}")
            found.add(line)
            if record and found.byte_count == record.get("bytes"):
                compared = found.record() == record
                if not compared:
                    raise _not_ours(path, f"one of the lines 1 to {found.lines} was changed")
        if len(line) == MOST_LINE_BYTES:
            raise _not_ours(path, f"line {found.lines + 1} is too long")
        if not compared and found.byte_count >= _bytes_in(record):
            raise _not_ours(path, "its lines don't end where they did")
        file.truncate(found.byte_count)
    found.errors, found.keys = expected.errors, expected.keys()
    return found


def _bytes_in(record: Mapping[str, Any] | None) -> float:
    size = (record or {}).get("bytes")
    return size if type(size) is int else -1


def _not_ours(path: Path, what: str) -> GenerationError:
    return GenerationError(
        f"{path} can't be resumed: {what}.",
        "Restore the file as the batch wrote it, or start again with `force=True`.",
    )


class _InOrder:
    """The lines of an ordered output, one after the other."""

    def __init__(self, tasks: Iterator[Task]) -> None:
        self._tasks = tasks
        self.errors = 0

    def problem(self, line: bytes) -> str | None:
        task = next(self._tasks, None)
        if task is None:
            return "there is no job for it"
        if not isinstance(task.what, Request):
            self.errors += 1
            return None if line == encoded(task.error()) else "it isn't the error of its job"
        problem = _error_in(line) if task.what.may_fail else None
        if problem is not None:
            self.errors += 1
            return None if line == encoded(task.error(problem)) else "it isn't an error of its job"
        return self._problem_of_text(line, task, task.what)

    @staticmethod
    def _problem_of_text(line: bytes, task: Task, request: Request) -> str | None:
        values = _values(line)
        if isinstance(values, str):
            return values
        if (values["id"], values.get("sample")) != (task.id, task.sample):
            return "it has another id than its job, or is of another sample"
        if values.get("prompt") != task.prompt().get("prompt"):
            return "it has another prompt than its job"
        return _problem_of_seed(values["seed"], request.seed, request.best_of)

    def keys(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        return np.empty(0, np.uint64)


class _InAnyOrder:
    """The lines of an output without order: first the errors, then texts."""

    def __init__(self, tasks: Iterator[Task]) -> None:
        keys, seeds, best_of, self._bad = (array("Q") for _ in range(4))
        self._may_fail = False
        for task in tasks:
            if isinstance(task.what, Request):
                self._may_fail = task.what.may_fail
                keys.append(task.key)
                seeds.append(task.what.seed)
                best_of.append(task.what.best_of)
            else:
                self._bad.append(_fingerprint(encoded(task.error())))
        order = np.argsort(np.frombuffer(keys, np.uint64))
        self._keys = np.frombuffer(keys, np.uint64)[order]
        self._seeds = np.frombuffer(seeds, np.uint64)[order]
        self._best_of = np.frombuffer(best_of, np.uint64)[order]
        self._seen = np.zeros(len(order), bool)
        self.errors = 0

    def problem(self, line: bytes) -> str | None:
        if self.errors < len(self._bad):
            self.errors += 1
            known = _fingerprint(line) == self._bad[self.errors - 1]
            return None if known else "it isn't the error of its job"
        failed = _error_in(line) is not None and self._may_fail
        values = json.loads(line) if failed else _values(line)
        if isinstance(values, str):
            return values
        key = line_key(values["id"], values.get("sample"))
        place = int(np.searchsorted(self._keys, np.uint64(key)))
        if place == len(self._keys) or int(self._keys[place]) != key:
            return "there is no job for it"
        if self._seen[place]:
            return "an earlier line has the same id and sample"
        self._seen[place] = True
        if failed:
            self.errors += 1
            return None
        seed, best_of = int(self._seeds[place]), int(self._best_of[place])
        return _problem_of_seed(values["seed"], seed, best_of)

    def keys(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        return self._keys[self._seen]


def _problem_of_seed(found: int, seed: int, best_of: int) -> str | None:
    """What is wrong with the seed of a text, the best of some drawn for a request's seed."""
    return None if found in text_seeds(seed, best_of) else "it has another seed than its job"


def _error_in(line: bytes) -> str | None:
    """The error of a line about a text that failed; None: it is no such line."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or set(values) - {"sample"} != {"id", "error"}:
        return None
    known = type(values["id"]) in _KINDS["id"] and type(values["error"]) is str
    return values["error"] if known and encoded(values) == line else None


def _values(line: bytes) -> dict[str, Any] | str:
    """The fields of a line with a text; a text that says what is wrong with it otherwise."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return "it is no JSON"
    if not isinstance(values, dict) or set(values) - _MORE_FIELDS != _FIELDS:
        return "it doesn't have the fields of a text"
    if not all(type(values[name]) in kinds for name, kinds in _KINDS.items() if name in values):
        return "a field is of another type"
    if values["finish_reason"] not in _REASONS or values["characters"] != len(values["text"]):
        return "its text was changed"
    try:
        same = encoded(values) == line
    except UnicodeEncodeError:
        same = False
    return values if same else "it isn't written as the batch writes it"


def _fingerprint(line: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "big")
