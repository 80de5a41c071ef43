"""The gate as it suits a text that wasn't learnt from."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.evaluation.gate import Calibration, Evidence
from chargen.evaluation.scores import score_characters
from chargen.runs.folder import RunFolder
from chargen.training.events import Evaluation, Event
from tests.support import of_type, small_model, train_tiny


def evidence(count: int = 30_000, seed: int = 1) -> Evidence:
    """Pieces of which the network knows some and counting others; the gate tells, but too much."""
    draw = np.random.default_rng(seed)
    knows = draw.random(count) < 0.4
    own = np.where(knows, draw.uniform(0, 2, count), draw.uniform(1, 9, count))
    counted = np.where(knows, draw.uniform(0.001, 0.3, count), draw.uniform(0.05, 0.9, count))
    gate = 3 * (knows - 0.5) + draw.normal(2, 1.5, count)
    return Evidence([gate], [own], [counted], [np.arange(count)])


def nats(given: Evidence, scale: float, offset: float) -> float:
    g = 1 / (1 + np.exp(-(scale * given.gate[0] + offset)))
    return -float(np.log(g * np.exp(-given.own[0]) + (1 - g) * given.counted[0]).mean())


def test_the_calibration_is_the_best_of_a_fine_grid() -> None:
    given = evidence()
    found = given.calibration()
    grid = min(
        (nats(given, scale, offset), scale, offset)
        for scale in np.linspace(0.1, 3, 30)
        for offset in np.linspace(-6, 6, 121)
    )
    assert nats(given, found.scale, found.offset) < grid[0] + 1e-3
    assert given.gain(found) == pytest.approx(
        nats(given, 1, 0) - nats(given, found.scale, found.offset)
    )
    assert given.gain(found) > 0.05


def test_a_few_pieces_change_little() -> None:
    few = evidence(3)
    assert abs(few.calibration().scale - 1) < 0.5
    assert Evidence().calibration() == Calibration()


def test_the_order_in_which_pieces_are_scored_changes_nothing() -> None:
    """Several processes score a long split in another order, of which a part is looked at."""
    given = evidence(70_000)
    order = np.random.default_rng(2).permutation(70_000)
    other = Evidence(*([each[0][order]] for each in vars(given).values()))
    assert other.calibration() == given.calibration()


def test_two_calibrations_are_one() -> None:
    first, second = Calibration(0.5, 0.25), Calibration(2.0, -1.0)
    x = 0.7
    assert second.after(first) == Calibration(1.0, -0.5)
    assert 2.0 * (0.5 * x + 0.25) - 1.0 == 1.0 * x - 0.5


def test_a_gate_is_set_for_a_block_and_comes_back_bit_for_bit() -> None:
    model = small_model(ngram="2")
    assert model.w is not None
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    s = torch.randn(5, len(model.w), dtype=model.w.dtype)
    x = torch.logit(model.gate(s))
    with model.calibrated(0.3, 0.7):
        torch.testing.assert_close(model.gate(s), torch.sigmoid(0.3 * x + 0.7))
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())


def test_what_is_kept_scores_as_it_was_reported(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train_tiny(corpus, tmp_path, ngram=4, max_steps=60, eval_every=20, on_event=events.append)
    last = RunFolder(run.path).load_last()
    assert last is not None
    assert (last[1]["gate_scale"], last[1]["gate_offset"]) != (1.0, 0.0)
    loaded, prepared = RunFolder(run.path).load_model(), PreparedCorpus.open(corpus)
    score = score_characters(loaded.model, loaded.tokenizer, prepared.val, ngram=loaded.ngram)
    reported = min(each.bits_per_char for each in of_type(events, Evaluation))
    assert math.isclose(score.total().bits_per_char, reported, rel_tol=1e-6)
    assert chargen.load(run.path).loaded.bits_per_char == pytest.approx(reported)
