"""``chargen experiment classify``: compare a classifier with linear models over n-grams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.completion import presets
from chargen.cli.experiment.running import Out, carry_out
from chargen.cli.flags import Json
from chargen.options import ModelConfig, TrainConfig
from chargen.training.presets import DEFAULT_PRESET, PRESETS

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal


@command(
    only(ModelConfig, "cell", "bidirectional"),
    only(TrainConfig, "threads", "device", seed=0),
)
def classify(
    file: Annotated[Path, typer.Argument(help="A file of texts with labels.", show_default=False)],
    key: Annotated[str, typer.Option("--key", help="Column or JSON key of the label.")],
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.01, help="Minutes of training for each network.")
    ] = 5.0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Steps of training, instead of minutes.")
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", help=f"{', '.join(PRESETS)}.", autocompletion=presets)
    ] = DEFAULT_PRESET,
    out: Out = Path("classify.png"),
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train classifiers and linear models on the same texts, and compare what they tell of others.

    The linear models are a support vector machine and logistic regression over TF-IDF of n-grams
    of 1 to 3 characters. A tenth of the texts is told, the others are learnt from. Needs the
    extras bench and plot.
    """
    from chargen.experiments.labels import compare_classifiers

    def run(on_progress: ShowProgress) -> Outcome:
        return compare_classifiers(
            file,
            key,
            minutes=minutes,
            steps=steps,
            preset=preset,
            on_progress=on_progress,
            **options,
        )

    carry_out(run, out, terminal, as_json=as_json)
