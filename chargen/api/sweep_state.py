"""The runs of a sweep, what has become of them, and which of them are behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chargen.errors import CheckpointError, MissingExtraError
from chargen.files import read_json, write_json

_STATE = "sweep.json"
_MOST_STATE_BYTES = 1 << 26
_RUNGS = (0.25, 0.5)
"""Shares of a run after which those that are behind may be stopped."""


@dataclass
class SweepRun:
    """A run of a sweep.

    Attributes:
        name, values, options: of it; ``options`` are all that ``train`` gets.
        reports: pairs of rung and bits that were found there; None: the loss was not finite.
        state: empty; ``done``, ``stopped``, or ``failed``.
        bits: of its best weights.
        error: why it failed.
    """

    name: str
    values: dict[str, Any]
    options: dict[str, Any]
    reports: list[tuple[int, float | None]] = field(default_factory=list)
    state: str = ""
    bits: float | None = None
    error: str = ""


class SweepState:
    """What a sweep has done so far, in a file of its folder."""

    def __init__(self, folder: Path, runs: Sequence[SweepRun]) -> None:
        self._folder, self._runs = folder, runs

    def open(self, *, resume: bool) -> None:
        """Read what is there; CheckpointError where it is something else, or mustn't be there."""
        path = self._folder / _STATE
        if not self._folder.exists() or (resume and not any(self._folder.iterdir())):
            self._folder.mkdir(parents=True, exist_ok=True)
            self.save()
            return
        if not resume:
            raise CheckpointError(
                f"{self._folder} exists already.",
                "Continue it with `resume=True`, or choose another `name`.",
            )
        try:
            before = read_json(path, _MOST_STATE_BYTES)
            asked = {each["name"]: each["options"] for each in before["runs"]}
            done = [each["state"] for each in before["runs"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path}, which describes the sweep, is missing or damaged.",
                "Choose another `name`.",
            ) from error
        if asked != {run.name: run.options for run in self._runs} or len(done) != len(self._runs):
            raise CheckpointError(
                f"{self._folder} is a sweep of other options, values, seeds or texts.",
                "Use the same as before, or choose another `name`.",
            )
        for run, each in zip(self._runs, before["runs"], strict=True):
            run.state, run.bits, run.error = each["state"], each["bits"], each["error"]
            run.reports = [(rung, bits) for rung, bits in each["reports"]]

    def save(self) -> None:
        names = ("name", "options", "state", "bits", "error", "reports")
        runs = [{name: getattr(run, name) for name in names} for run in self._runs]
        write_json(self._folder / _STATE, {"format": 1, "runs": runs})


class Judge:
    """Decides which runs are behind: Optuna's successive halving, or nobody."""

    def __init__(self, wanted: bool) -> None:
        self._study = None
        if wanted:
            try:
                import optuna
            except ImportError as error:
                raise MissingExtraError("optuna", "sweep", "Stopping runs early") from error
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
            self._study = optuna.create_study(direction="minimize", pruner=pruner)
            self._trials: dict[str, Any] = {}

    @property
    def rungs(self) -> tuple[float, ...]:
        """Shares of a run after which it is judged."""
        return _RUNGS if self._study else ()

    def behind(self, run: SweepRun, rung: int, bits: float | None) -> bool:
        """Note a run's bits at a rung, from 0, and say whether it is to be stopped."""
        if self._study is None:
            return False
        if run.name not in self._trials:
            self._trials[run.name] = self._study.ask()
        trial = self._trials[run.name]
        trial.report(math.inf if bits is None else bits, step=2**rung)
        return bool(trial.should_prune())
