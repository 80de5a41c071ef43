"""Who learns in the experiment ``quality``: a contender of any kind, and chargen as one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chargen.bench.timing import Stopwatch
from chargen.corpus.prepared import PreparedCorpus
from chargen.evaluation.scores import CharScores, score_characters
from chargen.machine.allocator import freed_memory_returned
from chargen.machine.devices import cpu_threads
from chargen.machine.settings import TrainingSettings
from chargen.training.events import Finished
from chargen.training.loop import session_events
from chargen.training.plan import TrainRequest, new_run
from chargen.training.session import Session

Ids = NDArray[np.integer[Any]]
_NEVER = 10**9


@dataclass(frozen=True)
class Budget:
    """Seconds of training, or steps; only training counts."""

    amount: float
    in_steps: bool = False

    def spent(self, contender: Contender) -> float:
        return contender.steps if self.in_steps else contender.watch()

    def part(self, divisor: int) -> Budget:
        """This part of the budget, one step at least."""
        amount = self.amount / divisor
        return Budget(max(1.0, amount) if self.in_steps else amount, self.in_steps)

    def options(self) -> dict[str, float]:
        """The same as an option of ``chargen.train``."""
        if self.in_steps:
            return {"max_steps": int(self.amount)}
        return {"max_minutes": self.amount / 60}


class Contender:
    """A network that learns a little at a time, with a clock that stops in between.

    Attributes:
        name: in the report.
        budget: what it may spend.
        watch: runs while it learns.
        steps: made so far.
        parameters: how many numbers it learns.
        done: whether its budget is spent.
    """

    def __init__(self, name: str, budget: Budget, threads: int) -> None:
        self.name, self.budget, self._threads = name, budget, threads
        self.watch = Stopwatch()
        self.steps, self.parameters, self.done = 0, 0, False

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """A block with the settings of the process under which it learns and is scored.

        Besides the number of threads they are those of a program that has set nothing.
        """
        with cpu_threads(self._threads), freed_memory_returned():
            yield

    def advance(self) -> None:
        """Make some steps; at the end of the budget ``done`` is set."""
        with self.watch.running():
            self._learn()
        self.done = self._is_done()

    def _learn(self) -> None:
        raise NotImplementedError

    def _is_done(self) -> bool:
        return self.budget.spent(self) >= self.budget.amount

    def score(self, ids: Ids) -> CharScores:
        raise NotImplementedError

    def close(self) -> None:
        """Release what was kept from turn to turn."""


class Chargen(Contender):
    """A run as ``chargen.train`` makes it, but without evaluations and samples on the way."""

    def __init__(
        self,
        corpus: PreparedCorpus,
        folder: Path,
        name: str,
        preset: str,
        budget: Budget,
        *,
        seed: int,
        device: torch.device,
        threads: int,
    ) -> None:
        super().__init__(name, budget, threads)
        self._tokenizer = corpus.tokenizer
        options = {"seed": seed, "device": device.type, "threads": threads, "sample_every": _NEVER}
        request = TrainRequest(
            corpus, folder, preset=preset, name=name, training={**budget.options(), **options}
        )
        run = new_run(request)
        self._settings = TrainingSettings(threads)
        with self.settings(), self.watch.running():
            self._session = Session(run, clock=self.watch, validate=False)
        self._model = self._session.state.model
        self.parameters = size_of(self._model)
        self._ended = False
        self._events = session_events(self._session, lambda: False)

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """A block with the settings for training."""
        with self._settings.block():
            yield

    def _learn(self) -> None:
        self._ended = isinstance(next(self._events), Finished)
        self.steps = self._session.state.step

    def _is_done(self) -> bool:
        """When its plan is; the last checkpoint and sample are left out."""
        return self._ended or self.steps == self._session.timetable.total_steps

    def score(self, ids: Ids) -> CharScores:
        return score_characters(self._model, self._tokenizer, ids)

    def close(self) -> None:
        self._settings.close()


def size_of(model: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in model.parameters())
