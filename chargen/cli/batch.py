"""``chargen batch``: a file of jobs to a file of texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli import options as opt

if TYPE_CHECKING:
    from chargen.generation.batch.run import Progress


def batch(
    jobs: Annotated[
        str,
        typer.Argument(
            help="JSON lines, or a text file with a prompt a line; - is standard input.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, a JSON object a text.")],
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", help="A run folder, or its name. \\[default: the newest run]"),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Texts at a time; changes the speed alone.")
    ] = 64,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an output that was begun.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Write texts as they are done, not in job order.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="A bad job becomes a line with its error.")
    ] = False,
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="Add bits_per_char, under the model itself.")
    ] = False,
    length: opt.Length = None,
    num_samples: Annotated[int, typer.Option("--num-samples", min=1, help="Texts a job.")] = 1,
    stop: opt.Stop = None,
    seed: Annotated[
        int, typer.Option("--seed", help="With a job's id, or else its line, makes its seed.")
    ] = 0,
    oov_prompt: opt.OovPrompt = "error",
    form: opt.FormName = None,
    acrostic: opt.Acrostic = "",
    rhyme: opt.Rhyme = False,
    tones: opt.Tones = False,
    repetition_penalty: opt.RepetitionPenalty = None,
    temperature: opt.Temperature = None,
    top_k: opt.TopK = None,
    top_p: opt.TopP = None,
    min_p: opt.MinP = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Generate a text for every job of a file, resumably.

    A job may set id, prompt, length, temperature, top_k, top_p, min_p, repetition_penalty, stop,
    seed, num_samples and form; the options here are the defaults. A text depends on checkpoint,
    job and seed alone.
    """
    both = "resume and force contradict each other: give one"
    config, wanted = opt.texts_wanted(locals(), [both] if resume and force else [])

    from chargen import api
    from chargen.cli.terminal.console import Terminal

    terminal = Terminal(quiet=quiet)
    with terminal.progress("generating", "characters") as show:

        def on_progress(progress: Progress) -> None:
            share = progress.characters / max(1, progress.texts - progress.before)
            show(
                f"{progress.texts:,} of {progress.total:,} texts",
                progress.characters,
                share * (progress.total - progress.before),
            )

        api.batch(
            jobs,
            out,
            checkpoint,
            batch_size=batch_size,
            resume=resume,
            force=force,
            ordered=not unordered,
            keep_going=keep_going,
            logprobs=logprobs,
            num_samples=num_samples,
            seed=seed,
            oov_prompt=oov_prompt,
            form=wanted,
            device=device,
            on_begin=lambda run, texts: terminal.say(f"{run}: {texts:,} texts to {out}"),
            on_progress=on_progress,
            **config.to_dict(),
        )
