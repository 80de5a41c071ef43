"""``chargen experiment clipping``: compare training with and without gradient clipping."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.experiment.running import Out, Text, carry_out
from chargen.cli.flags import Json
from chargen.options import TrainConfig

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal


@command(only(TrainConfig, "threads", seed=0))
def clipping(
    corpus: Text = None,
    rate: Annotated[
        list[float] | None,
        typer.Option("--rate", help="Learning rate; repeatable. \\[default: 0.1, 0.3, 1, 3]"),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps of each run.")] = 200,
    out: Out = Path("clipping.png"),
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train a simple network at high learning rates, with and without gradient clipping.

    Uses SGD and long windows. A run whose loss becomes NaN or infinite is reported as diverged;
    so is one that ends worse than guessing.
    """
    from chargen.experiments.clipping import RATES, compare_clipping

    def run(on_progress: ShowProgress) -> Outcome:
        return compare_clipping(
            corpus,
            rates=tuple(dict.fromkeys(rate or RATES)),
            steps=steps,
            on_progress=on_progress,
            **options,
        )

    carry_out(run, out, terminal, as_json=as_json)
