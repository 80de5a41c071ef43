"""Running a batch, which can be resumed after a kill at any instant."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from chargen.errors import GenerationError, system_error_text
from chargen.files import errors_about, followed, is_special, open_in_place
from chargen.generation.batch.asked import BatchOptions, BatchProgress, Generate, Inventory
from chargen.generation.batch.jobs import (
    MOST_LISTED,
    BadLine,
    Job,
    error_of_bad_jobs,
    is_json,
    read_jobs,
    sha256_of_jobs,
)
from chargen.generation.batch.lines import MOST_WAITING, InOrder, Task, blamed, encoded, line_key
from chargen.generation.batch.output import (
    FORMAT,
    check_output,
    check_unchanged,
    contains,
    name_of_output,
    sidecar_of,
    write_sidecar,
)
from chargen.generation.batch.written import Written, check_written
from chargen.generation.engine import Engine
from chargen.generation.ranking import best_results
from chargen.generation.requests import Request
from chargen.workers.pool import FatalItemError

_SYNC_SECONDS = 2.0


class Batch:
    """A job file and its output.

    Args:
        engine: the engine; its ``logprobs`` add ``bits_per_char`` to the lines.
        jobs: the job file, seekable.
        name: name of the job file; ``-`` for standard input.
        out: the output file.
        options: the options of the batch.
        identity: what else the texts depend on, such as the checkpoint's hash.
        generate: makes texts of requests, as ``best_results`` does, which is the default.
        most_waiting: lines that may wait for an earlier one.
    """

    def __init__(
        self,
        engine: Engine,
        jobs: BinaryIO,
        name: str,
        out: Path,
        options: BatchOptions,
        identity: dict[str, Any],
        generate: Generate | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._engine, self._jobs, self._options = engine, jobs, options
        self._generate = generate or partial(best_results, engine, typical_bits=None)
        self._most_waiting = most_waiting
        self._name, self._as_json = name, is_json(name, jobs)
        self.out, self._target = out, followed(out)
        self.sidecar = sidecar_of(self._target)
        self._identity = {
            "format": FORMAT,
            "jobs_sha256": sha256_of_jobs(jobs, name),
            **identity,
            "oov_prompt": engine.oov_prompt,
            "logprobs": engine.logprobs,
            **asdict(options),
        }

    def inventory(self) -> Inventory:
        """Read all jobs once, to count output lines and find problems.

        Raises:
            ConfigError: the model has no use for an option, whatever the jobs are.
            GenerationError: it can't write what the options ask for; there are no jobs, or invalid
                ones and the batch doesn't keep going.
        """
        self._engine.check_options(self._options.defaults.request())
        lines, wrong = 0, 0
        listed: list[BadLine] = []
        keys = array("Q")
        for number, job in enumerate(self._read()):
            ours = self._is_ours(number)
            if isinstance(job, BadLine):
                lines, wrong = lines + ours, wrong + 1
                listed += [job] if len(listed) < MOST_LISTED else []
            else:
                lines += job.samples * ours
                keys.append(line_key(job.id))
        repeated, fewer = self._repeated(np.frombuffer(keys, np.uint64))
        lines -= fewer
        wrong += len(repeated)
        if wrong and not self._options.keep_going:
            raise error_of_bad_jobs([*listed, *repeated.values()], wrong)
        if not keys and not lines:
            raise GenerationError("There are no jobs.", "Write one job or prompt per line.")
        return Inventory(lines, repeated)

    def run(self, inventory: Inventory, *, resume: bool, force: bool) -> Iterator[BatchProgress]:
        """Write the missing lines, and yield the progress after each.

        Raises:
            GenerationError: the output exists and neither ``resume`` nor ``force`` is given, the
                job file or an option has changed, or another process is writing the output.
            OSError: the output isn't a plain file, and can't be written.
        """
        if is_special(self.out):
            check_output(self._name, self.out, resume=resume, force=force)
            yield from self._stream(inventory)
            return
        lock = Path(f"{self.sidecar}.lock")
        try:
            with FileLock(lock, timeout=0):
                there = self._prepare(inventory, resume=resume, force=force)
                yield from self._write(inventory, there)
                lock.unlink(missing_ok=True)
        except Timeout as error:
            raise GenerationError(
                f"{self.out} is being written by another process.", "Wait for it to end."
            ) from error
        except OSError as error:
            raise GenerationError(
                f"The output can't be written: {system_error_text(error)}.",
                "Free some space or correct the permissions, then continue with `resume=True`.",
            ) from error

    def _read(self) -> Iterator[Job | BadLine]:
        return read_jobs(
            self._jobs,
            as_json=self._as_json,
            defaults=self._options.defaults,
            check=self._engine.check,
            blanks=self._engine.answers,
        )

    def _repeated(self, keys: NDArray[np.uint64]) -> tuple[dict[int, BadLine], int]:
        """The jobs with the id of an earlier job; reads the file again only if there are any.

        And how many lines fewer that makes: each of them has one, whatever its samples are.
        """
        distinct, counts = np.unique(keys, return_counts=True)
        repeated = set(distinct[counts > 1].tolist())
        if not repeated:
            return {}, 0
        seen: dict[int, int] = {}
        found, fewer = {}, 0
        for number, job in enumerate(self._read()):
            if isinstance(job, Job) and (key := line_key(job.id)) in repeated:
                first = seen.setdefault(key, job.line)
                if first != job.line:
                    problem = f"id: {job.id!r} is already the id of line {first}"
                    found[job.line] = BadLine(job.id, job.line, (problem,))
                    fewer += (job.samples - 1) * self._is_ours(number)
        return found, fewer

    def _is_ours(self, number: int) -> bool:
        """Whether a job, by its number from 0, belongs to the shard."""
        shard = self._options.shard
        return shard is None or number % shard[1] == shard[0] - 1

    def _prepare(self, inventory: Inventory, *, resume: bool, force: bool) -> Written:
        """Make sure that what is there belongs to this batch, or clear it away."""
        check_output(self._name, self.out, resume=resume, force=force)
        if resume and self._target.exists():
            record = check_unchanged(self._identity, self.sidecar, self.out)
            tasks = self._tasks(inventory)
            return check_written(self._target, tasks, record, ordered=self._options.ordered)
        self._target.unlink(missing_ok=True)
        write_sidecar(self.sidecar, {**self._identity, "lines": inventory.lines})
        self._target.touch()
        return Written()

    def _write(self, inventory: Inventory, there: Written) -> Iterator[BatchProgress]:
        """Append to a plain file what is missing there; the file beside it says how far it is."""
        synced = time.monotonic()
        with self._target.open("ab") as file:
            for progress in self._written(file, inventory, there):
                if time.monotonic() - synced > _SYNC_SECONDS:
                    self._sync(file, inventory, there)
                    synced = time.monotonic()
                yield progress
            self._sync(file, inventory, there)

    def _sync(self, file: BinaryIO, inventory: Inventory, written: Written) -> None:
        os.fsync(file.fileno())
        now = {"lines": inventory.lines, "written": written.record()}
        write_sidecar(self.sidecar, {**self._identity, **now})

    def _stream(self, inventory: Inventory) -> Iterator[BatchProgress]:
        """Write all lines to what isn't a plain file."""
        with errors_about(Path(name_of_output(self.out))), open_in_place(self.out) as file:
            yield from self._written(file, inventory, Written())

    def _written(
        self, file: BinaryIO, inventory: Inventory, there: Written
    ) -> Iterator[BatchProgress]:
        """Write lines as they come, and say after each how far it is."""
        before, characters = there.lines, 0
        yield BatchProgress(before, inventory.lines, before, 0, there.errors)
        for line in self._missing(inventory, there):
            raw = encoded(line)
            file.write(raw)
            file.flush()
            there.add(raw)
            there.errors += "error" in line
            characters += line.get("characters", 0)
            yield BatchProgress(there.lines, inventory.lines, before, characters, there.errors)

    def _missing(self, inventory: Inventory, there: Written) -> Iterator[dict[str, Any]]:
        """The lines of the output besides those that are in it already."""
        if self._options.ordered:
            return self._ordered_lines(inventory, there.lines)
        return self._unordered_lines(inventory, there.lines, there.keys)

    def _tasks(self, inventory: Inventory) -> Iterator[Task]:
        """Yield a task for each output line, in the order of the jobs."""
        for number, job in enumerate(self._read()):
            if not self._is_ours(number):
                continue
            if job.line in inventory.repeated:
                yield Task(job.id, None, inventory.repeated[job.line])
                continue
            if isinstance(job, BadLine):
                yield Task(job.id, None, job)
                continue
            for n, request in enumerate(job.requests()):
                sample = None if job.samples == 1 else n
                wanted = replace(request, may_fail=self._options.keep_going)
                yield Task(job.id, sample, wanted, self._options.with_prompt)

    def _ordered_lines(self, inventory: Inventory, skip: int) -> Iterator[dict[str, Any]]:
        """Yield the lines after the first ``skip`` in the order of the jobs."""
        tasks = islice(self._tasks(inventory), skip, None)
        lines = InOrder(tasks, self._most_waiting)
        while not lines.all_taken:
            try:
                for result in self._generate(lines.requests()):
                    lines.take(result)
                    yield from lines.ready()
            except FatalItemError as error:
                raise blamed(lines.running(error.number), error) from error
            yield from lines.ready()

    def _unordered_lines(
        self, inventory: Inventory, skip: int, written: NDArray[np.uint64]
    ) -> Iterator[dict[str, Any]]:
        """Yield the errors of jobs after the first ``skip``, then texts as they are completed."""
        bad = (task for task in self._tasks(inventory) if isinstance(task.what, BadLine))
        for task in islice(bad, skip, None):
            yield task.error()
        running: dict[int, Task] = {}

        def requests() -> Iterator[Request]:
            taken = 0
            for task in self._tasks(inventory):
                if isinstance(task.what, Request) and not contains(written, task.key):
                    running[taken] = task
                    taken += 1
                    yield task.what

        try:
            for result in self._generate(requests()):
                yield running.pop(result.index).line(result)
        except FatalItemError as error:
            raise blamed(running[error.number], error) from error
