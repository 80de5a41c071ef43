"""Corpora to trained runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.errors import TrainingError
from chargen.options import CorpusConfig, ModelConfig, TrainConfig, distribute, keyword_options

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.corpus.progress import PrepareProgress
    from chargen.generation.generator import Generator
    from chargen.training.events import Event
    from chargen.training.lr_finder import RangeTest
    from chargen.training.plan import TrainRequest

Corpus = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class TrainedRun:
    """What became of a training run.

    Attributes:
        path: its folder.
        steps: made in all.
        reason: ``done``, ``patience``, ``time`` or ``interrupted``.
        bits_per_char: of the best weights on the validation split; None without one.
    """

    path: Path
    steps: int
    reason: str
    bits_per_char: float | None

    def load(self) -> Generator:
        """The trained model."""
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
    **options: Any,
) -> TrainedRun:
    """Train a network, or continue training one.

    Args:
        corpus: text files or folders, a prepared folder, the name of a shipped text, or what
            ``prepare`` returned; None is the shipped stories or, with ``resume``, what the run
            was trained on.
        preset: ``tiny``, ``lecture``, ``small``, ``base`` or ``large``: values for what
            ``options`` leaves open.
        name: of the run; by default made from corpus and cell, with a number.
        runs_dir: the folder of runs; by default that of the environment variable CHARGEN_RUNS,
            else ``checkpoints``.
        resume: continue the run ``name``, or the newest one.
        init_from: a run whose weights are the initial ones.
        tensorboard: also write curves and samples for TensorBoard into the run folder.
        on_event: called with everything that happens.
        on_progress: called with how far the preparation of the text is.
        stop: asked before every step; True saves and ends the run.
        options: as in ``chargen train``: network, learning, budget, preparation of the text.

    Raises:
        ConfigError: options that are unknown, out of range or contradictory, all at once.
        CorpusError: the text can't be read or is too short.
        CheckpointError: the run exists already, is in use, or is damaged.
        TrainingError: the loss was not finite, several times.
        MissingExtraError: ``tensorboard`` is asked for and not installed.
    """
    from chargen.training.plan import new_run
    from chargen.training.resume import resumed_run
    from chargen.training.tensorboard import require_tensorboard

    if tensorboard:
        require_tensorboard()
    about = {"preset": preset, "name": name, "init_from": init_from, "on_progress": on_progress}
    request = _request(corpus, runs_dir, options, **about)
    run = resumed_run(request) if resume else new_run(request)
    from chargen.training.recording import recorded_events

    recorded = recorded_events(run, stop or (lambda: False), tensorboard=tensorboard)
    with closing(recorded) as events:
        return _finished(run.folder.path, events, on_event)


def _request(
    corpus: Corpus | PreparedCorpus | None,
    runs_dir: str | Path | None,
    options: dict[str, Any],
    **about: Any,
) -> TrainRequest:
    """What was asked for; ConfigError where an option is unknown."""
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
    path: Path, events: Iterator[Event], on_event: Callable[[Event], None] | None
) -> TrainedRun:
    """Let a run happen, and report how it ended."""
    from chargen.training.events import Finished

    event = None
    for event in events:
        if on_event:
            on_event(event)
    if not isinstance(event, Finished):
        raise TrainingError(f"The run {path} was not finished.", "Continue it with `resume=True`.")
    return TrainedRun(path, event.step, event.reason, event.best_bits_per_char)


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
    """Try learning rates for a network on a corpus; no run is made, and no weights are kept.

    Args:
        corpus: as for ``train``.
        preset: as for ``train``.
        runs_dir: where ``init_from`` is looked for.
        init_from: a run whose weights are the initial ones.
        out: a PNG to draw.
        on_progress: called with how far the preparation of the text is.
        on_step: called with the number of steps made and of all steps.
        options: as for ``train``; the rates that are tried lie around ``lr``.

    Raises:
        ConfigError, CorpusError, CheckpointError: as ``train``; or ``out`` can't be written.
        TrainingError: the loss is not finite from the beginning.
        MissingExtraError: there is a picture to draw, and matplotlib is not installed.
    """
    from chargen.training.plan import plan

    about = {"preset": preset, "init_from": init_from, "on_progress": on_progress}
    made = plan(_request(corpus, runs_dir, options, **about))
    from chargen.inspection.plots import check_picture, plot_range_test
    from chargen.training.lr_finder import range_test

    if out is not None:
        check_picture(Path(out))
    test = range_test(made, on_step)
    if out is not None:
        plot_range_test(test, Path(out))
    return test
