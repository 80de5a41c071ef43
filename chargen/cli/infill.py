"""``chargen infill``: fill the gaps of texts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, each_of, only, unescape
from chargen.cli.completion import run_names
from chargen.cli.flags import NoNgram, RunsDir
from chargen.cli.given import read_given
from chargen.cli.sample import say_conversion
from chargen.errors import ConfigError
from chargen.options import BatchConfig, InfillConfig

if TYPE_CHECKING:
    from chargen.generation.filling.filler import Filling
    from chargen.terminal.console import Terminal

_MOST_BYTES = 64 << 20


@command(each_of(InfillConfig), only(BatchConfig, "seed", "device", described={"seed": "random"}))
def infill(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run folder or the name of a run; by default the newest one that has finished.",
            autocompletion=run_names,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Argument(help=r"A line with gaps, or several; \n and other escapes are understood."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", "-f", help="File of lines with gaps, at most 64 MiB; - is standard input."
        ),
    ] = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    options: dict[str, Any],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each line as a JSON object.")
    ] = False,
    terminal: Terminal,
) -> None:
    """Fill the gaps of texts, each marked by □ or another sign.

    Each line is filled by itself; several gaps are filled together. A run of the task infill has
    read both sides of a gap. A language model reads only what comes before, and judges its
    fillings by what comes after. At temperature 0 the likeliest fillings are found by a beam;
    above, fillings are drawn. Lines without a gap are printed as they are.
    """
    from chargen import api

    device = options.pop("device", "auto")
    run, lines = _asked(run, text, file, options.get("mark", InfillConfig.mark))
    model = api.load(run, runs_dir=runs_dir, device=device, ngram=not no_ngram)
    seed = options.pop("seed", secrets.randbelow(2**31))
    say_conversion(terminal, model, "The text")
    fillings = model.infill_lines(lines, seed=seed, **options)
    if options.get("temperature") and not as_json:
        terminal.say(f"seed {seed}")
    for line, found in zip(lines, fillings, strict=True):
        if as_json:
            typer.echo(_as_json(model.as_learnt(line), found))
        else:
            typer.echo("\n".join(each.text for each in found) if found else line)


def _asked(
    run: str | None, text: str | None, file: str | None, mark: str
) -> tuple[str | None, Sequence[str]]:
    """The run that is named, and the lines that are given.

    A single argument that has a gap is the text, for the newest run.
    """
    if text is None and file is None and run is not None and mark in run:
        run, text = None, run
    if text is not None and file is not None:
        raise ConfigError("`text` and `file` contradict each other.", "Give one of them.")
    if file is not None:
        return run, read_given(file, "the text", _MOST_BYTES, "Cut it into several files.").split(
            "\n"
        )
    if text is None:
        raise ConfigError(
            "There is no text to fill.", f"Give a text with {mark} in its gaps, or a `file`."
        )
    return run, unescape(text).split("\n")


def _as_json(line: str, found: Sequence[Filling]) -> str:
    fillings = [
        {"text": each.text, "filled": each.filled, "bits": round(each.bits, 4)} for each in found
    ]
    return json.dumps({"text": line, "fillings": fillings}, ensure_ascii=False)
