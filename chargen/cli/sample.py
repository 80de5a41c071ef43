"""``chargen sample``: generate text with a model."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.flags import NoNgram, Run, RunsDir
from chargen.errors import GenerationError, system_error_text
from chargen.generation.poems.forms import Form
from chargen.options import BatchConfig, SamplingConfig, check, distribute

if TYPE_CHECKING:
    from chargen.cli.terminal.console import Terminal
    from chargen.generation.generator import Generator

_MOST_PROMPT_BYTES = 4 << 20


@command(
    only(BatchConfig, "num_samples", "seed", "oov_prompt", "device", described={"seed": "random"}),
    SamplingConfig,
    Form,
)
def sample(
    run: Run = None,
    prompt: Annotated[str | None, typer.Option("--prompt", "-p", help="Text to continue.")] = None,
    prompt_file: Annotated[
        str | None,
        typer.Option(
            "--prompt-file", "-f", help="File with the prompt, at most 4 MiB; - is standard input."
        ),
    ] = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    options: dict[str, Any],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each text as a JSON object.")
    ] = False,
    terminal: Terminal,
) -> None:
    """Generate text with a model, from a prompt if there is one.

    Impossible characters are masked; then repetition penalty, temperature, top-k, top-p and min-p
    are applied, in this order, and a character is drawn.
    """
    from chargen import api

    also = []
    if prompt is not None and prompt_file is not None:
        also.append("`prompt` and `prompt_file` contradict each other: give one")
    wanted = texts_wanted(options, also)
    text = _read_prompt(prompt_file) if prompt_file is not None else prompt or ""
    generator = api.load(run, runs_dir=runs_dir, device=wanted.pop("device"), ngram=not no_ngram)
    wanted.setdefault("seed", secrets.randbelow(2**31))
    if not terminal.quiet and not as_json:
        print(f"{generator.path}, seed {wanted['seed']}", file=sys.stderr)
    if text:
        say_conversion(terminal, generator, "The prompt")
    if wanted["num_samples"] == 1 and not as_json:
        _stream(generator, text, wanted)
    else:
        _write_all(generator, text, wanted, as_json=as_json)


def say_conversion(terminal: Terminal, generator: Generator, what: str) -> None:
    """Say so where a run converts what it reads."""
    if generator.conversion != "none":
        terminal.say(f"{what} is converted as the text of the run was: {generator.conversion}.")


def texts_wanted(options: dict[str, Any], also: list[str]) -> dict[str, Any]:
    """Convert sampling, batch and poem options to arguments of the API.

    Args:
        options: those that were given.
        also: further problems with the command's options.

    Raises:
        ConfigError: an option is not usable; names all problems at once.
    """
    from chargen.generation.batch.fields import read_form

    batch, sampling, details = distribute(options, BatchConfig, SamplingConfig, Form)
    form, problems = read_form(details.pop("name", None), **details)
    problems += SamplingConfig.problems_in(sampling) + BatchConfig.problems_in(batch)
    check(also=[*also, *problems])
    return {"num_samples": 1, "device": "auto", **batch, **sampling, "form": form}


def _read_prompt(name: str) -> str:
    """Read a prompt from a file or standard input, without its last line end."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            data = file.read(_MOST_PROMPT_BYTES + 1)
        if len(data) > _MOST_PROMPT_BYTES:
            raise GenerationError(
                f"The prompt in {name} has more than {_MOST_PROMPT_BYTES >> 20} MiB.",
                "Give its end: a network remembers little of what lies further back.",
            )
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


def _stream(generator: Generator, prompt: str, wanted: dict[str, Any]) -> None:
    show = _as_shown()
    drawn = {name: value for name, value in wanted.items() if name != "num_samples"}
    pieces = generator.stream(prompt, **drawn)
    sys.stdout.write(show(_closed(prompt, wanted.get("form"))))
    for piece in pieces:
        sys.stdout.write(show(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def _write_all(generator: Generator, prompt: str, wanted: dict[str, Any], *, as_json: bool) -> None:
    show = _as_shown()
    for n, result in enumerate(generator.iter_results(prompt, **wanted)):
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
            before = _closed(prompt, wanted.get("form"))
            sys.stdout.write(f"{separator}{show(before + result.text)}\n")


def _closed(prompt: str, form: Form | None) -> str:
    """Return the prompt as it precedes the text: a poem begins on a line of its own."""
    if form is None:
        return prompt
    from chargen.generation.poems.verse import lead

    return lead(form, prompt)


def _as_shown() -> Callable[[str], str]:
    """Return a function that makes control characters visible on a terminal."""
    if not sys.stdout.isatty():
        return lambda text: text
    from chargen.cli.terminal.words import visible

    return visible
