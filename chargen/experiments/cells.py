"""Comparison of all cells on one text at equal parameters, for equal steps and equal time."""

from __future__ import annotations

import math
import tempfile
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from chargen import api
from chargen.errors import ConfigError
from chargen.experiments.outcome import ShowProgress, Table, silent
from chargen.experiments.runs import Course, open_text, train_course
from chargen.inspection.plots import new_figure, save_figure
from chargen.network.model import CharModel
from chargen.options import CELLS, Recipe, TrainConfig, check
from chargen.training.extent import Extent
from chargen.training.presets import DEFAULT_PRESET, PRESETS, choose_model

TOLERANCE = 0.02
"""The relative difference allowed between numbers of parameters."""


@dataclass(frozen=True)
class Contestant:
    """A cell and its two runs.

    Attributes:
        cell: name of the cell.
        hidden_size: the width at which its network has the wanted number of parameters.
        by_steps: the run for equal steps.
        by_time: the run for equal time.
    """

    cell: str
    hidden_size: int
    by_steps: Course
    by_time: Course


@dataclass(frozen=True)
class CellsOutcome:
    """The result of ``compare_cells``."""

    corpus: str
    steps: int
    minutes: float
    contestants: tuple[Contestant, ...]

    def tables(self) -> tuple[Table, ...]:
        sizes = [each.by_steps.parameters for each in self.contestants]
        about = f"{self.corpus}, {min(sizes):,} to {max(sizes):,} parameters"
        return (
            Table(
                f"Equal steps: {self.steps:,}; {about}",
                ("cell", "units", "parameters", "bits per character", "characters/s"),
                tuple(
                    (
                        each.cell,
                        f"{each.hidden_size:,}",
                        f"{each.by_steps.parameters:,}",
                        _bits(each.by_steps),
                        f"{each.by_steps.chars_per_second:,.0f}",
                    )
                    for each in sorted(self.contestants, key=lambda each: _rank(each.by_steps))
                ),
            ),
            Table(
                f"Equal time: {self.minutes:g} min each; {about}",
                ("cell", "units", "steps", "bits per character"),
                tuple(
                    (
                        each.cell,
                        f"{each.hidden_size:,}",
                        f"{each.by_time.total_steps:,}",
                        _bits(each.by_time),
                    )
                    for each in sorted(self.contestants, key=lambda each: _rank(each.by_time))
                ),
            ),
        )

    def findings(self) -> tuple[str, str]:
        by_steps = sorted(self.contestants, key=lambda each: _rank(each.by_steps))
        by_time = sorted(self.contestants, key=lambda each: _rank(each.by_time))
        orders = ([each.cell for each in order] for order in (by_steps, by_time))
        what = _compared([(each.cell, each.by_steps) for each in by_steps])
        then = _compared([(each.cell, each.by_time) for each in by_time])
        same = "the order is the same" if next(orders) == next(orders) else "the order is another"
        alone = len(self.contestants) == 1
        return f"At equal steps {what}.", f"In equal time {then}{'' if alone else f'; {same}'}."

    def draw(self, out: Path) -> None:
        figure = new_figure(10, 4.6)
        by_step, by_time = figure.subplots(1, 2, sharey=True)
        for n, each in enumerate(self.contestants):
            style = {"color": f"C{n % 10}", "marker": "o", "markersize": 3, "label": each.cell}
            by_step.plot(each.by_steps.evaluated_steps, each.by_steps.validation, **style)
            minutes = [seconds / 60 for seconds in each.by_time.evaluated_seconds]
            by_time.plot(minutes, each.by_time.validation, **style)
        by_step.set(title="equal steps", xlabel="step", ylabel="validation, bits per character")
        by_time.set(title="equal time", xlabel="minutes of training")
        by_step.legend(fontsize="small", ncols=2)
        for axes in (by_step, by_time):
            axes.grid(alpha=0.3)
        figure.supxlabel("\n".join(self.findings()), fontsize="small", wrap=True)
        save_figure(figure, out)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_cells(
    corpus: api.Source | None = None,
    *,
    cells: Sequence[str] = tuple(CELLS),
    hidden_size: int = 128,
    steps: int = 200,
    minutes: float = 0.5,
    seed: int = 0,
    threads: int = 0,
    on_progress: ShowProgress = silent,
) -> CellsOutcome:
    """Train each cell as a single layer, for equal steps and for equal time.

    Everything but the cell and its width is that of the preset ``small``: the learning rate is
    adapted to the width, and weights are tied if the cell allows it.

    Args:
        corpus: a text or a prepared corpus; None is the shipped text ``shipan.txt``.
        cells: names of the cells.
        hidden_size: units of the LSTM; the others get about as many parameters.
        steps: steps of each run for equal steps.
        minutes: minutes of each run for equal time, evaluations included.
        seed: seed of initial weights and dropout.
        threads: CPU threads; 0: torch's choice.
        on_progress: called with the progress.
    """
    check(TrainConfig(max_steps=steps), TrainConfig(max_minutes=minutes))
    prepared = open_text(corpus)
    extent = Extent.of(prepared)
    target = parameters_of("lstm", hidden_size, extent)
    widths = {cell: width_for(cell, target, extent) for cell in cells}
    budgets: dict[str, Any] = {"steps": {"max_steps": steps}, "time": {"max_minutes": minutes}}
    courses: dict[tuple[str, str], Course] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, budget in budgets.items():
            for cell in cells:

                def on_share(
                    share: float, cell: str = cell, kind: str = kind, before: int = len(courses)
                ) -> None:
                    on_progress(f"{cell}, equal {kind}", before + share, 2 * len(cells))

                courses[kind, cell] = train_course(
                    prepared,
                    Path(folder, kind),
                    cell,
                    on_share,
                    cell=cell,
                    hidden_size=widths[cell],
                    num_layers=1,
                    seed=seed,
                    threads=threads,
                    **budget,
                )
    contestants = tuple(
        Contestant(cell, widths[cell], courses["steps", cell], courses["time", cell])
        for cell in cells
    )
    return CellsOutcome(prepared.manifest.name, steps, minutes, contestants)


def parameters_of(cell: str, hidden_size: int, extent: Extent) -> int:
    """Return the number of parameters of a network of one layer, ``small`` without n-grams."""
    chosen = {"cell": cell, "hidden_size": hidden_size, "num_layers": 1, "ngram": "0"}
    model = choose_model(PRESETS[DEFAULT_PRESET], chosen, extent, Recipe())
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in CharModel(model).parameters())


def width_for(cell: str, parameters: int, extent: Extent) -> int:
    """Find the width at which a network with this cell has ``parameters``, within 2 %.

    Raises:
        ConfigError: there is no such width.
    """
    too_wide = 2
    while parameters_of(cell, too_wide, extent) < parameters:
        too_wide *= 2
    widths = range(1, too_wide + 1)
    above = bisect_left(widths, parameters, key=lambda width: parameters_of(cell, width, extent))
    nearest = min(
        widths[max(0, above - 1) : above + 1],
        key=lambda width: abs(parameters_of(cell, width, extent) - parameters),
    )
    found = parameters_of(cell, nearest, extent)
    if abs(found - parameters) > TOLERANCE * parameters:
        raise ConfigError(
            f"No width of {cell} has {parameters:,} parameters: {nearest} has {found:,}.",
            "Choose another `hidden_size`.",
        )
    return nearest


def _compared(courses: Sequence[tuple[str, Course]]) -> str:
    """Say which of some runs is best and which is worst; the best comes first."""
    (first, best), (last, worst) = courses[0], courses[-1]
    if best.best is None:
        return "every cell diverges"
    words = f"{first} predicts best, with {best.best:.3f} bits per character"
    if len(courses) == 1:
        return words.replace("predicts best, with", "reaches")
    if worst.best is None:
        return f"{words}, and {last} diverges"
    return f"{words}, and {last} worst, with {worst.best:.3f}"


def _rank(course: Course) -> float:
    return math.inf if course.best is None else course.best


def _bits(course: Course) -> str:
    if course.best is None:
        return f"diverged at step {course.diverged_at:,}"
    return f"{course.best:.3f}"
