"""``chargen sample``: a model writes."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli import options as opt
from chargen.errors import GenerationError, system_error_text

if TYPE_CHECKING:
    from chargen.config import SamplingConfig
    from chargen.generation.generator import Generator
    from chargen.generation.poems.forms import Form


def sample(
    checkpoint: opt.Checkpoint = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", help="Text to go on from.")
    ] = None,
    prompt_file: Annotated[
        str | None,
        typer.Option("--prompt-file", "-f", help="File with that text; - is standard input."),
    ] = None,
    length: opt.Length = None,
    num_samples: Annotated[int, typer.Option("--num-samples", min=1, help="Texts.")] = 1,
    stop: opt.Stop = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The same seed, the same text. \\[default: random]")
    ] = None,
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
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a text, on standard output.")
    ] = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Let a model write, after a prompt if you like.

    What can't be is masked out; then the repetition penalty, temperature, top-k, top-p and min-p
    act, in this order, and a character is drawn.
    """
    also = []
    if prompt is not None and prompt_file is not None:
        also.append("prompt and prompt_file contradict each other: give one")
    config, wanted = opt.texts_wanted(locals(), also)
    text = _read_prompt(prompt_file) if prompt_file is not None else prompt or ""
    from chargen import api

    generator = api.load(checkpoint, device=device)
    seed = secrets.randbelow(2**31) if seed is None else seed
    if not quiet and not as_json:
        print(f"{generator.path}, seed {seed}", file=sys.stderr)
    if num_samples == 1 and not as_json:
        _stream(generator, text, config, seed, oov_prompt, wanted)
    else:
        _write_all(generator, text, config, seed, oov_prompt, wanted, num_samples, as_json=as_json)


def _read_prompt(name: str) -> str:
    """A prompt from a file or standard input; one line end at its end is not part of it."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise GenerationError(
            f"The prompt can't be read: {system_error_text(error)}.", "Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise GenerationError(
            f"The prompt {name} is not UTF-8 at byte {error.start}.", "Convert it to UTF-8."
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n")


def _stream(
    generator: Generator,
    prompt: str,
    config: SamplingConfig,
    seed: int,
    oov_prompt: str,
    form: Form | None,
) -> None:
    show = _as_shown()
    pieces = generator.stream(
        prompt, seed=seed, oov_prompt=oov_prompt, form=form, **config.to_dict()
    )
    sys.stdout.write(show(_closed(prompt, form)))
    for piece in pieces:
        sys.stdout.write(show(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def _write_all(
    generator: Generator,
    prompt: str,
    config: SamplingConfig,
    seed: int,
    oov_prompt: str,
    form: Form | None,
    num_samples: int,
    *,
    as_json: bool,
) -> None:
    show = _as_shown()
    results = generator.results(
        prompt,
        num_samples=num_samples,
        seed=seed,
        oov_prompt=oov_prompt,
        form=form,
        **config.to_dict(),
    )
    for n, result in enumerate(results):
        if as_json:
            line = {
                "prompt": prompt,
                "text": result.text,
                "finish_reason": result.finish_reason,
                "characters": result.characters,
                "seed": result.seed,
            }
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        else:
            separator = "---\n" if n else ""
            sys.stdout.write(f"{separator}{show(_closed(prompt, form) + result.text)}\n")


def _closed(prompt: str, form: Form | None) -> str:
    """The prompt as it stands before the text: a poem begins on a line of its own."""
    if form is None:
        return prompt
    from chargen.generation.poems.verse import lead

    return lead(form, prompt)


def _as_shown() -> Callable[[str], str]:
    """Control characters are made visible on a terminal, and left alone elsewhere."""
    if not sys.stdout.isatty():
        return lambda text: text
    from chargen.cli.terminal.console import visible

    return visible
