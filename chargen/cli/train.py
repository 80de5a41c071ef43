"""``chargen train``: train a model on a text."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.boundary import INTERRUPTED, TERMINATED, Terminated
from chargen.cli.command import command
from chargen.cli.completion import own_run_names
from chargen.cli.flags import Corpus, InitFrom, Json, Preset
from chargen.errors import ConfigError
from chargen.machine.launch import Launch
from chargen.machine.signals import held_signals
from chargen.options import CorpusConfig, ModelConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.corpus.progress import PrepareProgress
    from chargen.terminal.console import Terminal


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
_Src = Annotated[
    Path | None,
    typer.Option("--src", help="For seq2seq, a file of lines that are answered by --tgt's."),
]
_Tgt = Annotated[
    Path | None, typer.Option("--tgt", help="For seq2seq, a file of answers, line by line.")
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
    src: _Src = None,
    tgt: _Tgt = None,
    tensorboard: _TensorBoard = False,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train a recurrent network on a text, and save it in a run folder."""
    from chargen import api

    texts = list(corpus) if corpus else _sides(src, tgt, options)
    if corpus and (src or tgt):
        raise ConfigError("A corpus is named, and `src` or `tgt` as well.", "Name one of them.")
    leads = Launch.here().leads  # of several processes, one shows the run
    terminal.quiet |= not leads
    with held_signals(signal.SIGINT, signal.SIGTERM) as stopped, terminal.training() as view:

        def on_progress(progress: PrepareProgress) -> None:
            if stopped:  # there is no run to save yet
                raise KeyboardInterrupt if stopped[0] == signal.SIGINT else Terminated
            view.preparing(progress.phase, progress.done, progress.total)

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
            on_event=view.event,
            on_progress=on_progress,
            stop=stop,
            **options,
        )
    if as_json and leads:
        report = {
            "run": str(run.path),
            "steps": run.steps,
            "reason": run.reason,
            "bits_per_char": run.bits_per_char,
        }
        typer.echo(json.dumps(report, ensure_ascii=False))
    if run.reason == "interrupted":
        raise typer.Exit(TERMINATED if stopped[0] == signal.SIGTERM else INTERRUPTED)


def _sides(src: Path | None, tgt: Path | None, options: dict[str, Any]) -> list[Path] | None:
    """Return the two files of pairs, if they are named.

    Raises:
        ConfigError: only one is, or the task isn't to answer.
    """
    if src is None and tgt is None:
        return None
    if src is None or tgt is None:
        raise ConfigError("`src` and `tgt` go together, and one is missing.", "Give both.")
    if options.get("task") != "seq2seq":
        raise ConfigError("`src` and `tgt` are the sides of pairs.", "Give `task=seq2seq` as well.")
    return [src, tgt]
