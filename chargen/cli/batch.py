"""``chargen batch``: a file of jobs to a file of texts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chargen.cli import options as opt
from chargen.cli.poems import form_option
from chargen.config import SamplingConfig, check


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
    also = []
    if resume and force:
        also.append("resume and force contradict each other: give one")
    if oov_prompt not in ("error", "skip"):
        also.append(f"oov_prompt is {oov_prompt!r}, not one of error, skip")
    values = opt.given(
        length=length,
        repetition_penalty=repetition_penalty,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        stop=tuple(opt.unescape(text) for text in stop) if stop else None,
    )
    sampling = SamplingConfig.from_dict(values)
    check(sampling, also=also)
    wanted = form_option(form, acrostic, rhyme=rhyme, tones=tones)

    from chargen import api
    from chargen.cli.console import Terminal
    from chargen.generation.batch import Batch, BatchOptions, check_output, open_jobs
    from chargen.generation.engine import Engine
    from chargen.generation.jobs import Defaults

    with open_jobs(jobs) as file:
        check_output(jobs, out, resume=resume, force=force)
        generator = api.load(checkpoint, device=device)
        loaded = generator.loaded
        engine = Engine(
            loaded.model,
            loaded.tokenizer,
            slots=batch_size,
            oov_prompt=oov_prompt,
            logprobs=logprobs,
        )
        options = BatchOptions(
            Defaults(sampling, seed, num_samples, wanted),
            ordered=not unordered,
            keep_going=keep_going,
        )
        identity = {
            "weights_sha256": loaded.weights_sha256,
            "tokenizer_sha256": loaded.tokenizer.sha256,
            "device": engine.network.device.type,
        }
        work = Batch(engine, file, jobs, out, options, identity)
        survey = work.survey()
        if not quiet:
            print(f"{generator.path}: {survey.lines:,} texts to {out}", file=sys.stderr)
        with Terminal(quiet=quiet).progress("generating", "characters") as show:
            for progress in work.run(survey, resume=resume, force=force):
                share = progress.characters / max(1, progress.texts - progress.before)
                show(
                    f"{progress.texts:,} of {progress.total:,} texts",
                    progress.characters,
                    share * (progress.total - progress.before),
                )
