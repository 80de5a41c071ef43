"""``chargen train``: train a model on a text."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.boundary import INTERRUPTED, TERMINATED, Terminated
from chargen.cli.command import command
from chargen.cli.completion import own_run_names
from chargen.cli.flags import Corpus, InitFrom, Json, Preset, Src, Tgt, sides_as_files
from chargen.machine.launch import Launch
from chargen.machine.signals import held_signals
from chargen.options import CorpusConfig, ModelConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.corpus.progress import PrepareProgress
    from chargen.terminal.console import Terminal
    from chargen.training.events import Event


_Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Name of the run. \\[default: CORPUS-CELL-NUMBER]",
        autocompletion=own_run_names,
    ),
]
_RunsDir = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        "--out-dir",
        envvar="CHARGEN_RUNS",
        show_envvar=False,
        help="Folder of runs. \\[default: CHARGEN_RUNS, else checkpoints]",
    ),
]
_Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the run --name (or start it if it doesn't exist), or the newest run.",
    ),
]
_TensorBoard = Annotated[
    bool,
    typer.Option(
        "--tensorboard", help="Also write curves and samples for TensorBoard to the run folder."
    ),
]


@command(ModelConfig, TrainConfig, CorpusConfig)
def train(
    corpus: Corpus = None,
    preset: Preset = None,
    name: _Name = None,
    runs_dir: _RunsDir = None,
    resume: _Resume = False,
    init_from: InitFrom = None,
    src: Src = None,
    tgt: Tgt = None,
    tensorboard: _TensorBoard = False,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train a recurrent network on a text, and save it in a run folder."""
    from chargen import api

    texts, options = sides_as_files(corpus, src, tgt, options)
    leads = Launch.here().leads  # of several processes, one shows the run
    terminal.quiet |= not leads
    with (
        _reported(as_json) as report,
        held_signals(signal.SIGINT, signal.SIGTERM) as stopped,
        terminal.training() as view,
    ):

        def on_progress(progress: PrepareProgress) -> None:
            if stopped:  # there is no run to save yet
                raise KeyboardInterrupt if stopped[0] == signal.SIGINT else Terminated
            view.preparing(progress.phase, progress.done, progress.total)

        def on_event(event: Event) -> None:
            view.event(event)
            report(event)

        def stop() -> bool:
            view.tick()
            return bool(stopped)

        run = api.train(
            texts,
            preset=preset,
            name=name,
            runs_dir=runs_dir,
            resume=resume,
            init_from=init_from,
            tensorboard=tensorboard,
            on_event=on_event,
            on_progress=on_progress,
            stop=stop,
            **options,
        )
    if run.reason == "interrupted":
        raise typer.Exit(TERMINATED if stopped[0] == signal.SIGTERM else INTERRUPTED)


@contextmanager
def _reported(as_json: bool) -> Iterator[Callable[[Event], None]]:
    """A block that is given events, after which the last one is reported as JSON.

    That is done when the display is gone, and also where a run has diverged, which is an error.
    """
    from chargen.training.events import Finished

    reports = []

    def note(event: Event) -> None:
        if as_json and isinstance(event, Finished):
            report = {
                "run": event.run,
                "steps": event.step,
                "reason": event.reason,
                "bits_per_char": event.best_bits_per_char,
            }
            reports.append(json.dumps(report, ensure_ascii=False))

    try:
        yield note
    finally:
        for report in reports:
            typer.echo(report)
