"""Many runs: every combination of some values of options, with several seeds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from chargen.api.combinations import combined, prepare_runs
from chargen.api.inspecting import compare
from chargen.api.legs import Ended, Leg, TrainWork
from chargen.api.sweep_state import Judge, SweepRun, SweepState
from chargen.errors import ChargenError, CheckpointError, TrainingError
from chargen.options import (
    CorpusConfig,
    ModelConfig,
    TrainConfig,
    WorkersConfig,
    check,
    keyword_options,
)

if TYPE_CHECKING:
    from chargen.corpus.progress import PrepareProgress
    from chargen.inspection.comparison import Comparison

_SECONDS_TO_SAVE = 120.0
"""How long a worker has to save its run, when the sweep is ended."""


@dataclass(frozen=True)
class SweptRow:
    """A combination of values, and what its runs have come to.

    Attributes:
        values: of the options that were varied.
        runs: names of its runs, one a seed.
        bits: of the best weights of each on the validation split; None: none, or it failed.
        stopped: how many were stopped early.
    """

    values: Mapping[str, Any]
    runs: tuple[str, ...]
    bits: tuple[float | None, ...]
    stopped: int

    @property
    def mean(self) -> float | None:
        """The mean over the seeds; None unless all have a figure and ran to their end."""
        known = [bits for bits in self.bits if bits is not None]
        return fmean(known) if len(known) == len(self.bits) and not self.stopped else None


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep.

    Attributes:
        path: the folder of its runs.
        rows: the combinations, the best first; those without a mean come last.
        comparison: of all runs.
        failed: what became of runs that failed, by name.
    """

    path: Path
    rows: tuple[SweptRow, ...]
    comparison: Comparison
    failed: Mapping[str, str]


@keyword_options(ModelConfig, TrainConfig, CorpusConfig, WorkersConfig)
def sweep(
    corpus: str | Path | Sequence[str | Path] | None = None,
    *,
    sets: Mapping[str, Sequence[Any]],
    seeds: int = 1,
    name: str = "sweep",
    preset: str | None = None,
    runs_dir: str | Path | None = None,
    resume: bool = False,
    stop_early: bool = False,
    out: str | Path | None = None,
    on_progress: Callable[[PrepareProgress], None] | None = None,
    on_run: Callable[[str, float | None, int, int], None] | None = None,
    **options: Any,
) -> Sweep:
    """Train a run, as ``train`` does, for every combination of values, and compare them.

    Args:
        corpus: as for ``train``.
        sets: the values of each option that is varied, such as ``{"lr": [4e-3, 8e-3]}``.
        seeds: runs of each combination, with the seeds from ``seed`` on.
        name: the folder in ``runs_dir`` that gets the runs.
        preset: as for ``train``.
        runs_dir: the folder of runs.
        resume: continue the sweep ``name``, or begin it.
        stop_early: stop runs that are behind after a quarter and a half, by successive halving.
        out: a PNG, SVG or PDF to draw the curves to.
        on_progress: called with the progress of preparing the text.
        on_run: called after each part of a run with its name, its bits per character so far, the
            number of runs that have ended, and of all.
        options: as in ``chargen sweep``: what all runs share, and who shares the work.

    Raises:
        ConfigError: options are unknown, out of range or contradictory, in all runs or in one.
        CorpusError: the text can't be read or is too short.
        CheckpointError: the sweep exists already, or was begun with other options.
        WorkerError: workers can't be started or can't go on; the sweep can be resumed.
        MissingExtraError: ``stop_early``, and Optuna is not installed.
    """
    from chargen.inspection.plots import check_picture
    from chargen.runs.finding import check_name, runs_folder
    from chargen.workers.starting import check_workers

    if out:
        check_picture(Path(out))
    check_name(name)
    workers = WorkersConfig(**{n: options.pop(n) for n in WorkersConfig.entries() if n in options})
    check(workers)
    check_workers(workers)
    judge, folder = Judge(stop_early), runs_folder(runs_dir) / name
    runs = combined(sets, seeds, {"preset": preset, **options})
    prepare_runs(runs, corpus, on_progress, stop_early=stop_early)
    state = SweepState(folder, runs)
    state.open(resume=resume)
    with ExitStack() as stack:
        do = _doer(stack, TrainWork(folder.resolve()), workers, options)
        for run in _carried_out(runs, judge, do, state):
            if on_run:
                on_run(run.name, run.bits, sum(bool(each.state) for each in runs), len(runs))
    return _result(folder, runs, out)


def _result(folder: Path, runs: Sequence[SweepRun], out: str | Path | None) -> Sweep:
    there = [folder / run.name for run in runs if run.state != "failed"]
    if not there:
        raise CheckpointError(f"All runs failed: {runs[0].error}", "Correct the options.")
    failed = {run.name: run.error for run in runs if run.state == "failed"}
    return Sweep(folder, _rows(runs), compare(there, out=out), failed)


def _doer(
    stack: ExitStack, work: TrainWork, workers: WorkersConfig, options: Mapping[str, Any]
) -> Callable[[Iterator[Leg | None]], Iterator[tuple[int, Ended | ChargenError]]]:
    """What trains legs of runs: this process, or workers until ``stack`` ends."""
    if not workers.shared:
        return work.begin(0).do
    from chargen.workers.starting import pool_of

    gpus = int(options.get("device") == "cuda")
    return pool_of(
        stack,
        workers,
        work,
        {},
        threads=options.get("threads") or None,
        gpus=gpus,
        ahead=False,
        seconds_to_end=_SECONDS_TO_SAVE,
    ).spread


def _carried_out(
    runs: Sequence[SweepRun],
    judge: Judge,
    do: Callable[[Iterator[Leg | None]], Iterator[tuple[int, Ended | ChargenError]]],
    state: SweepState,
) -> Iterator[SweepRun]:
    """Train what is missing, and yield each run when a leg of it is done."""
    todo: deque[SweepRun] = deque()
    for run in runs:
        for rung, bits in run.reports:
            judge.behind(run, rung, bits)
        if not run.state:
            todo.append(run)
    begun: list[SweepRun] = []
    running = 0

    def legs() -> Iterator[Leg | None]:
        nonlocal running
        while todo or running:
            if not todo:
                yield None
                continue
            run = todo.popleft()
            begun.append(run)
            running += 1
            rest = judge.rungs[len(run.reports) :]
            yield Leg(run.name, run.options, rest[0] if rest else 1.0)

    while todo:
        begun.clear()
        for number, ended in do(legs()):
            run = begun[number]
            running -= 1
            _note(run, ended, judge)
            if not run.state:
                todo.append(run)  # after the others, whose figures it is judged by
            state.save()
            yield run


def _note(run: SweepRun, ended: Ended | ChargenError, judge: Judge) -> None:
    if isinstance(ended, TrainingError):
        run.state, run.error = "failed", ended.message
    elif isinstance(ended, ChargenError):
        raise ended
    elif ended.whole:
        run.state, run.bits = "done", ended.bits
    else:
        rung, run.bits = len(run.reports), ended.bits
        run.reports.append((rung, run.bits))
        run.state = "stopped" if judge.behind(run, rung, run.bits) else ""


def _rows(runs: Sequence[SweepRun]) -> tuple[SweptRow, ...]:
    groups: dict[str, list[SweepRun]] = {}
    for run in runs:
        groups.setdefault(repr(run.values), []).append(run)
    rows = [
        SweptRow(
            group[0].values,
            tuple(run.name for run in group),
            tuple(run.bits for run in group),
            sum(run.state == "stopped" for run in group),
        )
        for group in groups.values()
    ]
    return tuple(sorted(rows, key=lambda row: (row.mean is None, row.mean or 0.0)))
