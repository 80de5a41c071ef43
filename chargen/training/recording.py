"""A training run, recorded: what the loop tells goes into the run folder before anyone hears it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from itertools import chain

from chargen.errors import TrainingError, system_error_text
from chargen.runs.metrics import MetricsLog
from chargen.training.events import Event
from chargen.training.loop import training_events
from chargen.training.setup import PreparedRun
from chargen.training.tensorboard import FOLDER, TensorBoardLog


def recorded_events(
    run: PreparedRun, stop: Callable[[], bool], *, tensorboard: bool = False
) -> Generator[Event, None, None]:
    """Train, with the run's lock held and every event in its metrics before it is told.

    Args:
        run: see ``training_events``.
        stop: asked before every step; True saves and ends the run.
        tensorboard: whether curves and samples are written for TensorBoard too.

    Raises:
        TrainingError: the loss was not finite, again and again; or the run can't be written.
    """
    try:
        with ExitStack() as stack:
            stack.enter_context(run.folder.lock())
            events = stack.enter_context(closing(training_events(run, stop)))
            begun = next(events)  # nothing is written before it is known that the run can go on
            logs: list[MetricsLog | TensorBoardLog] = []
            logs.append(stack.enter_context(closing(MetricsLog(run.folder.metrics, begun.step))))
            if tensorboard:
                board = TensorBoardLog(run.folder.path / FOLDER, begun.step)
                logs.append(stack.enter_context(closing(board)))
            run.folder.write_config(run.config)
            for event in chain([begun], events):
                for log in logs:
                    log.write(event)
                yield event
    except OSError as error:  # from closing the log too, which flushes what a full disk refused
        raise TrainingError(
            f"The run can't be written: {system_error_text(error)}.",
            "Free some space or mend the permissions; then go on with --resume.",
        ) from error
