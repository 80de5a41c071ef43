"""``chargen sample``: generate text with a model."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, each_of, only, unescape
from chargen.cli.completion import values
from chargen.cli.flags import Checkpoint, NoNgram, Run, RunsDir
from chargen.cli.given import read_given
from chargen.cli.showing import Asked, show_texts, write_json
from chargen.errors import CheckpointError, ConfigError, GenerationError
from chargen.generation.poems.forms import Form
from chargen.options import BatchConfig, SamplingConfig, check, distribute

if TYPE_CHECKING:
    from chargen.generation.generator import Generator
    from chargen.terminal.console import Terminal

_MOST_PROMPT_BYTES = 4 << 20
_GIVE_ITS_END = "Give its end: a network remembers little of what lies further back."


class Color(StrEnum):
    """What the colours of characters tell."""

    none = "none"
    surprisal = "surprisal"
    gate = "gate"


_Prompt = Annotated[
    str | None,
    typer.Option("--prompt", "-p", help=r"Text to continue; \n and other escapes are understood."),
]
_PromptFile = Annotated[
    str | None,
    typer.Option(
        "--prompt-file", "-f", help="File with the prompt, at most 4 MiB; - is standard input."
    ),
]
_Keep = Annotated[
    int,
    typer.Option(
        "--keep", min=1, help="Number of the --best-of candidates to show, the best first."
    ),
]
_Color = Annotated[
    Color,
    typer.Option(
        "--color",
        help="Colour of each character on a terminal: by its bits (surprisal), or by the network's "
        "share of its mixture with counts (gate).",
        autocompletion=values(dict.fromkeys(Color, "")),
    ),
]


@command(
    only(
        BatchConfig,
        "num_samples",
        "best_of",
        "seed",
        "oov_prompt",
        "device",
        described={"seed": "random"},
    ),
    each_of(SamplingConfig, "temperature"),
    Form,
)
def sample(
    run: Run = None,
    prompt: _Prompt = None,
    prompt_file: _PromptFile = None,
    checkpoint: Checkpoint = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    keep: _Keep = 1,
    color: _Color = Color.none,
    *,
    options: dict[str, Any],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each text as a JSON object.")
    ] = False,
    terminal: Terminal,
) -> None:
    """Generate text with a model, from a prompt if there is one.

    Impossible characters are masked; then loop penalty, repetition penalty, temperature, top-k,
    top-p and min-p are applied, in this order, and a character is drawn. Without a run, the newest
    one that has finished is used. Several temperatures give a text each, from the same seed.
    """
    from chargen import api

    also = _contradictions(
        (prompt is not None and prompt_file is not None, "prompt", "prompt_file"),
        (keep > 1 and options.get("num_samples", 1) > 1, "keep", "num_samples"),
        (as_json and color is not Color.none, "color", "json"),
    )
    if keep > max(1, options.get("best_of", 1)):
        also.append(f"`keep` is {keep}, but `best_of` is {options.get('best_of', 1)}")
    temperatures = options.pop("temperature", [None])
    first = {} if temperatures[0] is None else {"temperature": temperatures[0]}
    also += _problems_of(temperatures[1:], options.get("beam_size", 0))
    wanted = texts_wanted({**options, **first}, also)
    text = unescape(prompt or "")
    if prompt_file is not None:
        text = read_given(prompt_file, "the prompt", _MOST_PROMPT_BYTES, _GIVE_ITS_END)
    where = run_named(run, checkpoint)
    device = wanted.pop("device")
    with _prompt_for_run(where):
        about = {"device": device, "ngram": not no_ngram, "poems": wanted["form"] is not None}
        generator = api.load(where, runs_dir=runs_dir, **about)
    wanted.setdefault("seed", secrets.randbelow(2**31))
    if color == Color.gate and generator.loaded.ngram is None:
        raise ConfigError(
            "The gate can't be shown: the network works without counts here.",
            "Use a run with n-gram counts, without `no_ngram`, or `color=surprisal`.",
        )
    if not as_json:
        say_run(terminal, generator, wanted["seed"])
    if text:
        say_conversion(terminal, generator, "The prompt")
    if generator.answers:
        _check_answerable(text, color)
    asked = Asked(generator, text, wanted, tuple(temperatures))
    if as_json:
        write_json(asked, keep)
    else:
        show_texts(asked, keep, tint=None if color == Color.none else color)


def _contradictions(*pairs: tuple[bool, str, str]) -> list[str]:
    """Describe the pairs of options that are both given."""
    return [
        f"`{one}` and `{other}` contradict each other: give one"
        for both, one, other in pairs
        if both
    ]


def _problems_of(temperatures: list[float], beam: int) -> list[str]:
    """Describe which of several temperatures can't be used."""
    each = [{"temperature": temperature, "beam_size": beam} for temperature in temperatures]
    return [line for values in each for line in SamplingConfig.problems_in(values)]


def _check_answerable(line: str, color: Color) -> None:
    if not line.strip():
        raise GenerationError("This run answers lines, and there is none.", "Give one as `prompt`.")
    if color is not Color.none:
        raise ConfigError("`color` is for texts that a language model continues.", "Leave it out.")


def run_named(run: str | None, checkpoint: str | None) -> str | None:
    """Return the run, which may be named by an argument or by an option."""
    if run is not None and checkpoint is not None:
        raise ConfigError(
            f"Two runs are named: {run} and, by `checkpoint`, {checkpoint}.", "Name one of them."
        )
    return checkpoint if run is None else run


@contextmanager
def _prompt_for_run(run: str | None) -> Iterator[None]:
    """A block in which the error of an unknown run says how to give a prompt."""
    try:
        yield
    except CheckpointError as error:
        if run is None or Path(run).exists() or "no run" not in error.message:
            raise
        hint = f"{error.remedy} To continue the text {run!r}, give it as `prompt`."
        raise CheckpointError(error.message, hint) from error


def say_run(terminal: Terminal, generator: Generator, seed: int | None) -> None:
    """Say which run writes, how far it is trained, and the seed if it is chosen already."""
    from chargen.runs.finding import shown

    loaded = generator.loaded
    bits = loaded.bits_per_char
    quality = "" if bits is None else f", {bits:.2f} {loaded.config.model.unit}"
    drawn = "" if seed is None else f", seed {seed}"
    terminal.say(f"{shown(generator.path)}, {loaded.step:,} steps{quality}{drawn}")
    if not loaded.step:
        terminal.say("This run has made no training step: what it writes is noise.")


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
    from chargen.generation.asking import problems_of_beam
    from chargen.generation.poems.asked import read_form

    batch, sampling, details = distribute(options, BatchConfig, SamplingConfig, Form)
    form, problems = read_form(details.pop("name", None), **details)
    problems += SamplingConfig.problems_in(sampling) + BatchConfig.problems_in(batch)
    if not problems:
        counts = (batch.get("num_samples", 1), batch.get("best_of", 1))
        problems += problems_of_beam(SamplingConfig(**sampling), *counts)
    check(also=dict.fromkeys([*also, *problems]))
    return {"num_samples": 1, "device": "auto", **batch, **sampling, "form": form}
