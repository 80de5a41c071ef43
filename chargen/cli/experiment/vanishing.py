"""``chargen experiment vanishing``: compare how gradients vanish in three networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.experiment.running import Out, Text, carry_out
from chargen.cli.flags import Json
from chargen.options import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal


@command(only(ModelConfig, hidden_size=192), only(TrainConfig, "threads", seed=0))
def vanishing(
    corpus: Text = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps.")] = 300,
    lags: Annotated[int, typer.Option("--lags", min=1, help="Largest lag, in steps.")] = 64,
    out: Out = Path("vanishing.png"),
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Measure how gradients vanish through time in a trained simple network, an LSTM and a GRU.

    Reports the norm of ∂L_t/∂s_(t−k) for each lag k, as chargen gradients measures it.
    """
    from chargen.experiments.vanishing import compare_vanishing

    def run(on_progress: ShowProgress) -> Outcome:
        return compare_vanishing(
            corpus,
            steps=steps,
            lags=lags,
            on_progress=on_progress,
            **options,
        )

    carry_out(run, out, terminal, as_json=as_json)
