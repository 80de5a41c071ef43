"""The contenders of the experiment ``quality``: their base class, and chargen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chargen.bench.timing import Stopwatch
from chargen.corpus.prepared import PreparedCorpus
from chargen.evaluation.scores import CharScores, score_characters
from chargen.experiments.curves import LearningCurve
from chargen.generation.recalled import recalled_costs
from chargen.machine.allocator import freed_memory_returned
from chargen.machine.devices import cpu_threads
from chargen.machine.settings import TrainingSettings
from chargen.options import SamplingConfig
from chargen.training.events import Finished
from chargen.training.loop import session_events
from chargen.training.plan import TrainRequest, new_run
from chargen.training.session import Session

Ids = NDArray[np.integer[Any]]
PRECISION = "float32"
"""Of every network, so that none of them trains faster for its format alone."""
_NEVER = 10**9


@dataclass(frozen=True)
class Budget:
    """A number of seconds, or steps, of training."""

    amount: float
    in_steps: bool = False

    def spent(self, contender: Contender) -> float:
        return contender.steps if self.in_steps else contender.watch()

    def part(self, divisor: int) -> Budget:
        """Return a fraction of the budget, at least one step."""
        amount = self.amount / divisor
        return Budget(max(1.0, amount) if self.in_steps else amount, self.in_steps)

    def options(self) -> dict[str, float]:
        """Return the budget as an option of ``chargen.train``."""
        if self.in_steps:
            return {"max_steps": int(self.amount)}
        return {"max_minutes": self.amount / 60}


class Contender:
    """A network that is trained in turns, with a clock that runs only while it trains.

    Attributes:
        name: name in the report.
        budget: the budget for its training.
        watch: the clock.
        steps: steps made so far.
        parameters: number of parameters.
        done: whether its budget is spent.
    """

    def __init__(self, name: str, budget: Budget, threads: int) -> None:
        self.name, self.budget, self._threads = name, budget, threads
        self.watch = Stopwatch()
        self.steps, self.parameters, self.done = 0, 0, False

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """Apply the process settings for its training and scoring in a block.

        Except for the number of threads they are the defaults of any program.
        """
        with cpu_threads(self._threads), freed_memory_returned():
            yield

    def advance(self) -> None:
        """Train for some steps, and set ``done`` at the end of the budget."""
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
        """Release resources that were kept between turns."""


class Chargen(Contender):
    """A run of ``chargen.train`` without evaluations and samples."""

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
        options = {
            "seed": seed,
            "device": device.type,
            "threads": threads,
            "precision": PRECISION,
            "sample_every": _NEVER,
        }
        request = TrainRequest(
            corpus, folder, preset=preset, name=name, training={**budget.options(), **options}
        )
        self._settings = TrainingSettings(threads)
        with self.watch.running():
            run = new_run(request)
        with self.settings(), self.watch.running():
            self._session = Session(run, clock=self.watch, validate=False)
        self._model = self._session.state.language_model
        self.parameters = size_of(self._model)
        self._ended = False
        self._events = session_events(self._session, lambda: False)

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """Apply the settings for training in a block."""
        with self._settings.block():
            yield

    def _learn(self) -> None:
        self._ended = isinstance(next(self._events), Finished)
        self.steps = self._session.state.step

    def _is_done(self) -> bool:
        """Return whether all steps are made; the last checkpoint and sample are skipped."""
        return self._ended or self.steps == self._session.timetable.total_steps

    def score(self, ids: Ids, recall: float = 0.0) -> CharScores:
        return score_characters(
            self._model,
            self._tokenizer,
            ids,
            ngram=self._session.ngram,
            changed=partial(recalled_costs, ids, recall) if recall else None,
        )

    def recalling(self, curve: LearningCurve, ids: Ids) -> LearningCurve:
        """The end of its curve, where all that was read of ``ids`` is recalled."""
        with self.settings():
            bits = self.score(ids, SamplingConfig.recall).total().bits_per_char
        end = replace(curve.points[-1], bits_per_char=bits)
        return LearningCurve(f"{curve.name}, recalling", curve.parameters, (end,), bits)

    def close(self) -> None:
        self._settings.close()


def size_of(model: nn.Module) -> int:
    """Return the number of parameters of a network."""
    return sum(p.numel() for p in model.parameters())
