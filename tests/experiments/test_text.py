"""The experiments that train on a text."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import ConfigError
from chargen.experiments.cells import TOLERANCE, compare_cells, parameters_of, width_for
from chargen.experiments.clipping import compare_clipping
from chargen.experiments.vanishing import CELLS as MEASURED
from chargen.experiments.vanishing import compare_vanishing
from chargen.inspection.gradients import measure_gradients
from chargen.network.model import CharModel
from chargen.options import CELLS, Recipe
from chargen.training.extent import Extent
from chargen.training.presets import PRESETS, choose_model

CHINESE = Extent(3000, 100_000, 100_000)


@pytest.mark.parametrize("cell", CELLS)
def test_the_width_solves_for_the_parameters(cell: str) -> None:
    target = parameters_of("lstm", 256, CHINESE)
    width = width_for(cell, target, CHINESE)
    off = [
        abs(parameters_of(cell, each, CHINESE) - target) for each in (width - 1, width, width + 1)
    ]
    assert off[1] == min(off)
    assert off[1] <= TOLERANCE * target


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_are_counted_as_they_are(cell: str) -> None:
    chosen = {"cell": cell, "hidden_size": 24, "num_layers": 1, "ngram": "0"}
    config = choose_model(PRESETS["small"], chosen, CHINESE, Recipe())
    real = sum(parameter.numel() for parameter in CharModel(config).parameters())
    assert parameters_of(cell, 24, CHINESE) == real


def test_a_width_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match="No width of jordan has 1,000 parameters"):
        width_for("jordan", 1000, CHINESE)


def test_cells_are_trained_alike_by_steps_and_by_time(corpus: Path) -> None:
    cells = ("rnn", "mingru")
    told: list[float] = []
    outcome = compare_cells(
        corpus,
        cells=cells,
        hidden_size=32,
        steps=12,
        minutes=0.01,
        threads=1,
        on_progress=lambda _phase, done, total: told.append(done / total),
    )
    assert told == sorted(told)
    assert told[-1] == 1
    assert [each.cell for each in outcome.contestants] == list(cells)
    for each in outcome.contestants:
        assert each.by_steps.steps[-1] == each.by_steps.total_steps == 12
        assert each.by_steps.parameters == each.by_time.parameters
        assert each.by_time.evaluated_steps[-1] == each.by_time.total_steps
    again = chargen.train(
        corpus,
        name=each.cell,
        runs_dir=corpus.parent / "again",
        cell=each.cell,
        hidden_size=each.hidden_size,
        max_steps=12,
        threads=1,
        ngram=0,
    )
    assert again.bits_per_char == each.by_steps.best
    by_steps, by_time = outcome.tables()
    best = min(outcome.contestants, key=lambda each: each.by_steps.validation)
    assert by_steps.rows[0][0] == best.cell
    assert len(by_time.rows) == len(cells)


def test_gradients_are_those_of_runs_trained_alike(corpus: Path, tmp_path: Path) -> None:
    outcome = compare_vanishing(corpus, steps=4, lags=6, hidden_size=8, threads=1)
    assert [report.run for report in outcome.reports] == list(MEASURED)
    options = {"cell": "rnn", "hidden_size": 8, "max_steps": 4, "threads": 1, "ngram": 0}
    run = chargen.train(corpus, name="rnn", runs_dir=tmp_path, **options)
    assert outcome.reports[0] == measure_gradients(run.path, 6)
    shown, _ = outcome.tables()
    assert [row[0] for row in shown.rows] == ["0", "1", "2", "4", "6"]


def test_a_rate_that_clipping_bears_is_too_high_without(corpus: Path) -> None:
    outcome = compare_clipping(corpus, rates=(30.0,), clip=0.01, steps=20, threads=1)
    clipped, free = outcome.runs
    assert (clipped.clip, free.clip) == (0.01, 0.0)
    assert (clipped.verdict, free.verdict) == ("learns", "worse than guessing")
    assert clipped.guessing == math.log2(PreparedCorpus.open(corpus).tokenizer.size)
    assert clipped.course.bits[-1] < clipped.guessing < free.course.bits[-1]
    (table,) = outcome.tables()
    assert [row[-1] for row in table.rows] == [clipped.verdict, free.verdict]


def test_a_loss_that_is_no_number_ends_the_run_and_is_told(corpus: Path, tmp_path: Path) -> None:
    outcome = compare_clipping(corpus, rates=(1e38,), steps=3, threads=1)
    for run in outcome.runs:
        assert run.course.diverged_at is not None
        assert run.verdict == f"diverged at step {run.course.diverged_at}"
        assert run.course.validation == ()
    outcome.draw(tmp_path / "clipping.png")
