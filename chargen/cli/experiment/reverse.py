"""``chargen experiment reverse``: turn strings round, through a code and with attention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.experiment.running import Out, carry_out
from chargen.cli.flags import Json
from chargen.options import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal


@command(only(ModelConfig, hidden_size=64), only(TrainConfig, "threads", seed=0))
def reverse(
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Training steps of each network.")
    ] = 1000,
    out: Out = Path("reverse.png"),
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train networks to turn strings round, and count exact answers by length.

    Four networks: through the code alone and with attention, each with an encoder that reads in
    one direction and in both.
    """
    from chargen.experiments.reverse import compare_reversing

    def run(on_progress: ShowProgress) -> Outcome:
        return compare_reversing(steps=steps, on_progress=on_progress, **options)

    carry_out(run, out, terminal, as_json=as_json)
