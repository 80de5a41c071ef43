"""A training run, recorded: every event is written into the run folder before it is yielded."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from chargen.errors import TrainingError, system_error_text
from chargen.machine.team import ALONE, Team
from chargen.runs.finding import name_of
from chargen.runs.layout import LAST, TENSORBOARD
from chargen.runs.metrics import MetricsLog, read_metrics
from chargen.training.events import Checkpoint, Earlier, Event, Finished, RolledBack
from chargen.training.loop import training_events
from chargen.training.plan import PreparedRun
from chargen.training.tensorboard import TensorBoardLog

_SAMPLES = 3


def recorded_events(
    run: PreparedRun,
    stop: Callable[[], bool],
    *,
    tensorboard: bool = False,
    team: Team = ALONE,
) -> Generator[Event, None, None]:
    """Train with the run locked; every event is in its metrics before it is yielded.

    Args:
        run: see ``training_events``.
        stop: called before every step; True saves and ends the run.
        tensorboard: whether curves and samples are written for TensorBoard too.
        team: the processes that train the run, of which this one leads.

    Raises:
        TrainingError: the run has diverged, or it can't be written.
    """
    try:
        with ExitStack() as stack:
            stack.enter_context(run.folder.lock())
            events = stack.enter_context(closing(training_events(run, stop, team)))
            begun = next(events)  # nothing is written before it is known that the run can go on
            metrics = stack.enter_context(closing(MetricsLog(run.folder.path, begun.step)))
            board = None
            if tensorboard:
                board = TensorBoardLog(run.folder.path / TENSORBOARD, begun.step)
                stack.enter_context(closing(board))
            places = replace(run.folder.read_places(), corpus=run.plan.corpus.path)
            run.folder.write_places(places)  # before the config, which may be the older version's
            earlier = earlier_events(run.folder.path, begun) if begun.step else None
            for event in chain([begun], events):
                if isinstance(event, RolledBack):
                    metrics.rewind(event.step)
                metrics.write(_without_paths(event).to_dict())
                if board:
                    board.write(event)
                yield event
                if earlier and event is begun:
                    yield earlier
    except OSError as error:  # from closing the log too, which flushes what a full disk refused
        raise TrainingError(
            f"The run can't be written: {system_error_text(error)}.",
            "Free some space or correct the permissions; then go on with `resume=True`.",
        ) from error


def earlier_events(run: Path, begun: Event) -> Earlier:
    """Summarise the metrics that a run has when it goes on with ``begun``."""
    lines = read_metrics(run)
    return Earlier(
        begun.step,
        begun.seconds,
        losses=_pairs(lines, "step", "loss"),
        evaluations=_pairs(lines, "evaluation", "bits_per_char"),
        samples=_pairs(lines, "sample", "text")[-_SAMPLES:],
    )


def _pairs(lines: list[dict[str, Any]], event: str, name: str) -> tuple[tuple[int, Any], ...]:
    found = ((each["step"], each.get(name)) for each in lines if each["event"] == event)
    return tuple((step, value) for step, value in found if value is not None)


def _without_paths(event: Event) -> Event:
    """The event as the metrics hold it: paths tell of their user."""
    if isinstance(event, Checkpoint):
        return replace(event, path=f"{LAST}/{event.step}")
    if isinstance(event, Finished):
        return replace(event, run=name_of(Path(event.run)))
    return event
