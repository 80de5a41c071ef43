"""``chargen experiment quality``: compare what models learn in equal time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.completion import presets
from chargen.cli.experiment.running import Out, carry_out
from chargen.cli.flags import Json
from chargen.options import CorpusConfig, TrainConfig
from chargen.training.presets import DEFAULT_PRESET, PRESETS

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal


@command(only(TrainConfig, "threads", "device", seed=0), only(CorpusConfig, "vocab_size"))
def quality(
    text: Annotated[
        Path | None,
        typer.Argument(help="A text to train on; by default the shipped prose, shipan."),
    ] = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.01, help="Minutes of training for each model.")
    ] = 1.67,
    preset: Annotated[
        str, typer.Option("--preset", help=f"{', '.join(PRESETS)}.", autocompletion=presets)
    ] = DEFAULT_PRESET,
    out: Out = Path("quality.png"),
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train a preset, a plain loop and a small GPT on the same text for equal time.

    The plain loop has char-rnn's defaults. The models alternate, and scoring is not timed. A
    short run of the preset, planned for an eighth of the minutes, is compared with the end of the
    GPT's curve. Counting alone, and the compressor PPMd, stand beside them. Needs the extras bench
    and plot.
    """
    from chargen.experiments.quality import compare_quality

    def run(on_progress: ShowProgress) -> Outcome:
        return compare_quality(
            text,
            minutes=minutes,
            preset=preset,
            on_progress=on_progress,
            **options,
        )

    carry_out(run, out, terminal, as_json=as_json)
