"""``chargen batch``: generate a file of texts from a file of jobs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.boundary import Terminated
from chargen.cli.command import command
from chargen.cli.flags import Checkpoint, NoNgram, Run, RunsDir
from chargen.cli.sample import run_named, say_conversion, texts_wanted
from chargen.generation.poems.forms import Form
from chargen.options import BatchConfig, SamplingConfig, WorkersConfig
from chargen.terminal.words import counted

if TYPE_CHECKING:
    from chargen.generation.batch.asked import BatchProgress
    from chargen.generation.generator import Generator
    from chargen.terminal.console import Terminal

_JOBS_HELP = (
    "JSON lines, or a text file with one prompt per line of at most 4 MiB; - is standard input. "
    "Input through a pipe is limited to 1 GiB."
)


def _print_schema(wanted: bool) -> None:
    if wanted:
        from chargen.generation.batch.fields import job_schema

        typer.echo(json.dumps(job_schema(), ensure_ascii=False, indent=2))
        raise typer.Exit


_Out = Annotated[
    str,
    typer.Option(
        "--out", "-o", help="File to write: one JSON object per text; - is standard output."
    ),
]
_Schema = Annotated[
    bool,
    typer.Option(
        "--schema",
        help="Print the JSON Schema of a job and exit.",
        callback=_print_schema,
        is_eager=True,
    ),
]


@command(BatchConfig, SamplingConfig, Form, WorkersConfig)
def batch(
    jobs: Annotated[str, typer.Argument(help=_JOBS_HELP, show_default=False)],
    out: _Out,
    run: Run = None,
    checkpoint: Checkpoint = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    schema: _Schema = False,
    *,
    options: dict[str, Any],
    terminal: Terminal,
) -> None:
    """Generate a text for every job in a file; an interrupted batch can be resumed.

    Sampling and poem options are defaults for the fields of the same name in a job. A text
    depends only on the run, the job and its seed.
    """
    names = {entry.parameter for entry in WorkersConfig.entries().values()}
    workers = {name: options.pop(name) for name in names & options.keys()}
    wanted = texts_wanted(options, WorkersConfig.problems_in(workers)) | workers

    from chargen import api
    from chargen.generation.batch.output import STANDARD_OUTPUT, name_of_output, output_path
    from chargen.runs.finding import shown

    piped = output_path(out) == STANDARD_OUTPUT
    keep_going = wanted.get("keep_going", False)
    noun = "line" if keep_going else "text"  # a line may be an error
    reached: list[BatchProgress] = []

    def on_begin(model: Generator, texts: int) -> None:
        terminal.say(f"{shown(model.path)}: {counted(texts, noun)} to {name_of_output(out)}")
        say_conversion(terminal, model, "Each prompt")

    # A live display would mix with texts on the same terminal.
    live = not (piped and sys.stdout.isatty())
    with (
        _remark_on_interrupt(terminal, reached, noun, resumable=not piped),
        terminal.progress("generating", "characters", live=live) as show,
    ):

        def on_progress(progress: BatchProgress) -> None:
            reached[:] = [progress]
            share = progress.characters / max(1, progress.texts - progress.before)
            phase = f"{progress.texts:,} of {counted(progress.total, noun)}"
            show(phase, progress.characters, share * (progress.total - progress.before))

        api.batch(
            jobs,
            out,
            run_named(run, checkpoint),
            runs_dir=runs_dir,
            ngram=not no_ngram,
            on_begin=on_begin,
            on_progress=on_progress,
            **wanted,
        )
    if keep_going:
        terminal.say(f"{_contents(reached[-1])} in {name_of_output(out)}")


def _contents(written: BatchProgress) -> str:
    """How many lines of an output are texts, and how many errors."""
    texts, errors = written.texts - written.errors, written.errors
    return f"{counted(texts, 'text')} and {counted(errors, 'error')}"


@contextlib.contextmanager
def _remark_on_interrupt(
    terminal: Terminal, reached: list[BatchProgress], noun: str, *, resumable: bool
) -> Iterator[None]:
    """Say how far an interrupted batch has come, and how to continue it."""
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        if reached:
            (last,) = reached
            advice = "; run the same command with --resume to continue" if resumable else ""
            share = f"{last.texts:,} of {counted(last.total, noun)}"
            terminal.say(f"Interrupted after {share}{advice}.")
        raise
