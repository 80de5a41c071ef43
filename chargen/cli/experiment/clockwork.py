"""``chargen experiment clockwork``: reproduce a waveform without input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.experiment.running import Out, carry_out
from chargen.cli.flags import Json
from chargen.options import TrainConfig

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal


@command(only(TrainConfig, "threads", seed=0))
def clockwork(
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Training steps of each network.")
    ] = 1000,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Seeds tried at each learning rate.")
    ] = 5,
    out: Out = Path("clockwork.png"),
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train a clockwork network, an LSTM and a simple network to output a waveform without input.

    As published: one hidden layer, equal numbers of parameters, weights from N(0, 0.1), Nesterov
    momentum. Each network is trained at every learning rate from several seeds; gradients are
    clipped.
    """
    from chargen.experiments.clockwork import draw_wave

    def run(on_progress: ShowProgress) -> Outcome:
        return draw_wave(
            steps=steps,
            seeds=seeds,
            on_progress=on_progress,
            **options,
        )

    carry_out(run, out, terminal, as_json=as_json)
