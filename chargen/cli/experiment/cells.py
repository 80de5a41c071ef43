"""``chargen experiment cells``: compare all cells on one text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.experiment.running import Out, Text, carry_out
from chargen.cli.flags import Json
from chargen.options import CELLS, ModelConfig, TrainConfig, check

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, ShowProgress
    from chargen.terminal.console import Terminal


@command(only(ModelConfig, hidden_size=128), only(TrainConfig, "threads", seed=0))
def cells(
    corpus: Text = None,
    cell: Annotated[
        list[str] | None,
        typer.Option("--cell", help="A cell to compare; repeatable. \\[default: all]"),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Steps of each run at equal steps.")
    ] = 200,
    minutes: Annotated[
        float, typer.Option("--minutes", min=1e-4, help="Minutes of each run at equal time.")
    ] = 0.5,
    out: Out = Path("cells.png"),
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train all cells on the same text with equal numbers of parameters.

    First for equal numbers of steps, then for equal time. The hidden size is that of the LSTM.
    Everything but the cell and its width is that of the preset small. The validation figure is the
    best of about ten evaluations.
    """
    problems = [line for each in cell or () for line in ModelConfig.problems_in({"cell": each})]
    check(also=problems)
    from chargen.experiments.cells import compare_cells

    def run(on_progress: ShowProgress) -> Outcome:
        return compare_cells(
            corpus,
            cells=tuple(dict.fromkeys(cell or CELLS)),
            steps=steps,
            minutes=minutes,
            on_progress=on_progress,
            **options,
        )

    carry_out(run, out, terminal, as_json=as_json)
