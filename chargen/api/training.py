"""Training runs."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, Any

from chargen.api.showing import shown
from chargen.errors import TrainingError
from chargen.machine.launch import Launch
from chargen.machine.signals import held_signals, interrupts_python
from chargen.options import CorpusConfig, ModelConfig, TrainConfig, distribute, keyword_options

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.corpus.progress import PrepareProgress
    from chargen.generation.generator import Generator
    from chargen.training.events import Event
    from chargen.training.lr_finder import RangeTest
    from chargen.training.plan import PreparedRun, TrainRequest

Corpus = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class TrainedRun:
    """The result of a training run.

    Attributes:
        path: the run folder.
        steps: number of training steps in all.
        reason: why it ended: ``done``, ``patience``, ``time`` or ``interrupted``.
        bits_per_char: of the best weights on the validation split; None if there is no split.
        unit: what they are in; of a classifier they are bits per label.
    """

    path: Path
    steps: int
    reason: str
    bits_per_char: float | None
    unit: str = "bits per character"

    def __repr__(self) -> str:
        bits = "" if self.bits_per_char is None else f", {self.bits_per_char:.3f} {self.unit}"
        return f"<TrainedRun {self.path}: {self.steps:,} steps, {self.reason}{bits}>"

    def load(self) -> Generator:
        """Load the trained model."""
        from chargen.api.inspecting import load

        return load(self.path)


@keyword_options(ModelConfig, TrainConfig, CorpusConfig)
def train(
    corpus: Corpus | PreparedCorpus | None = None,
    *,
    preset: str | None = None,
    name: str | None = None,
    runs_dir: str | Path | None = None,
    resume: bool = False,
    init_from: str | Path | None = None,
    tensorboard: bool = False,
    on_event: Callable[[Event], None] | None = None,
    on_progress: Callable[[PrepareProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    progress: bool = False,
    **options: Any,
) -> TrainedRun:
    """Train a network, or resume a run.

    KeyboardInterrupt, that is Ctrl-C or an interrupted notebook, is held back until the run is
    saved, so that it can be resumed; a second one ends it at once.

    Args:
        corpus: text files or folders, a prepared folder, the name of a shipped text, or the
            result of ``prepare``; None is the shipped stories or, with ``resume``, the corpus of
            the run.
        preset: ``tiny``, ``lecture``, ``small``, ``base`` or ``large``: values for options that
            are not given.
        name: the name of the run; by default made from corpus, cell and a number.
        runs_dir: the folder of runs; by default the environment variable CHARGEN_RUNS, else
            ``checkpoints``.
        resume: continue the run ``name``, or the newest one.
        init_from: the run to take the initial weights from.
        tensorboard: also write curves and samples for TensorBoard to the run folder.
        on_event: called with every event of the training.
        on_progress: called with the progress of preparing the text.
        stop: called before every step, under the process settings of training; returning True
            saves and ends the run.
        progress: show the progress on standard error: live on a terminal, as a bar in a notebook,
            elsewhere in lines.
        options: as in ``chargen train``: network, learning, budget, preparation of the text.

    Raises:
        ConfigError: options are unknown, out of range or contradictory; names all of them.
        CorpusError: the text can't be read or is too short.
        CheckpointError: the run exists already, is in use, or is damaged.
        TrainingError: the run has diverged: its loss was repeatedly not finite, or is far worse
            than guessing at the end. The best weights before are kept.
        MissingExtraError: ``tensorboard`` is true and TensorBoard is not installed.
    """
    from chargen.training.tensorboard import require_tensorboard

    launch = Launch.here()
    if tensorboard and launch.leads:
        require_tensorboard()
    with shown(on_event, on_progress, progress=progress and launch.leads) as (note, preparing):
        about = {"preset": preset, "name": name, "init_from": init_from}
        request = request_of(corpus, runs_dir, options, on_progress=preparing, **about)
        return _trained(request, launch, note, stop, resume, tensorboard)


def _trained(
    request: TrainRequest,
    launch: Launch,
    on_event: Callable[[Event], None],
    stop: Callable[[], bool] | None,
    resume: bool,
    tensorboard: bool,
) -> TrainedRun:
    """Train the run that is asked for; ``launch`` says in how many processes."""
    if launch.size > 1:
        return _trained_together(request, launch, on_event, stop, resume, tensorboard)
    from chargen.training.resume import prepare_run

    run = prepare_run(request, resume=resume)
    from chargen.training.recording import recorded_events

    return _carried_out(run, partial(recorded_events, run, tensorboard=tensorboard), on_event, stop)


def _trained_together(
    request: TrainRequest,
    launch: Launch,
    on_event: Callable[[Event], None],
    stop: Callable[[], bool] | None,
    resume: bool,
    tensorboard: bool,
) -> TrainedRun:
    """Train a run as one of several processes; all return the result, the leading one's events."""
    from chargen.machine.group import team_of
    from chargen.training.recording import recorded_events
    from chargen.training.together import joined_events, run_of_team

    asked = stop or (lambda: False)
    with team_of(launch, asked) as team:
        request = replace(request, processes=team.size)
        run = run_of_team(request, team, asked, resume=resume)
        if team.leads:
            events = partial(recorded_events, run, tensorboard=tensorboard, team=team)
            return _carried_out(run, events, on_event, stop)
        return _carried_out(run, partial(joined_events, run, team=team), lambda _: None, stop)


def _carried_out(
    run: PreparedRun,
    train: Callable[[Callable[[], bool]], collections.abc.Generator[Event, None, None]],
    on_event: Callable[[Event], None],
    stop: Callable[[], bool] | None,
) -> TrainedRun:
    """Train a run to its end, or until it is interrupted; then it is saved first.

    ``train`` returns the events of the run; the function that it gets ends it by returning True.
    """
    with held_signals(*([SIGINT] if interrupts_python() else [])) as interrupts:

        def ended() -> bool:
            return bool(interrupts) or (stop is not None and stop())

        with closing(train(ended)) as events:
            result = _finished(run, events, on_event, interrupts)
    if interrupts and result.reason == "interrupted":
        raise _interrupt(result)
    return result


def _interrupt(run: TrainedRun) -> KeyboardInterrupt:
    """Make the interrupt that was held back, with a note that says what was saved."""
    error = KeyboardInterrupt()
    error.add_note(f"{run.path} is saved at step {run.steps:,}; continue it with `resume=True`.")
    return error


def request_of(
    corpus: Corpus | PreparedCorpus | None,
    runs_dir: str | Path | None,
    options: dict[str, Any],
    **about: Any,
) -> TrainRequest:
    """Make a request from arguments of the API; an unknown option is a ConfigError."""
    from chargen.runs.finding import runs_folder
    from chargen.training.plan import TrainRequest

    settings, model, training = distribute(options, CorpusConfig, ModelConfig, TrainConfig)
    return TrainRequest(
        corpus,
        runs_folder(runs_dir),
        settings=settings,
        model=model,
        training=training,
        **about,
    )


def _finished(
    run: PreparedRun,
    events: Iterator[Event],
    on_event: Callable[[Event], None],
    interrupts: list[int],
) -> TrainedRun:
    """Consume the events of a run, and return its result.

    An interrupt in ``on_event`` is added to ``interrupts``, which let the run save and end.
    """
    from chargen.training.events import Finished

    event = None
    for event in events:
        try:
            on_event(event)
        except KeyboardInterrupt:
            interrupts.append(SIGINT)
    if not isinstance(event, Finished):
        path = run.folder.path
        raise TrainingError(f"The run {path} was not finished.", "Continue it with `resume=True`.")
    unit = run.plan.config.model.unit
    return TrainedRun(run.folder.path, event.step, event.reason, event.best_bits_per_char, unit)


@keyword_options(ModelConfig, TrainConfig, CorpusConfig)
def find_lr(
    corpus: Corpus | PreparedCorpus | None = None,
    *,
    preset: str | None = None,
    runs_dir: str | Path | None = None,
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    on_progress: Callable[[PrepareProgress], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    **options: Any,
) -> RangeTest:
    """Try learning rates for a network on a corpus; nothing is saved.

    Args:
        corpus: as for ``train``.
        preset: as for ``train``.
        runs_dir: the folder of runs in which ``init_from`` is found.
        init_from: the run to take the initial weights from.
        out: a PNG, SVG or PDF to draw.
        on_progress: called with the progress of preparing the text.
        on_step: called with the number of steps made and the total.
        options: as for ``train``; the rates tried lie around ``lr``. Budgets and intervals have no
            effect.

    Raises:
        ConfigError, CorpusError, CheckpointError: as ``train``; or ``out`` can't be written.
        TrainingError: the loss is not finite at the first step.
        MissingExtraError: ``out`` is given and matplotlib is not installed.
    """
    from chargen.inspection.plots import check_picture, plot_range_test

    if out is not None:
        check_picture(Path(out))
    from chargen.training.plan import plan

    about = {"preset": preset, "init_from": init_from, "on_progress": on_progress}
    made = plan(request_of(corpus, runs_dir, options, **about))
    from chargen.training.lr_finder import range_test

    test = range_test(made, on_step)
    if out is not None:
        plot_range_test(test, Path(out))
    return test
