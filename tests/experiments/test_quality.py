from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyppmd
import pytest
import torch
from torch.nn import functional as F

import chargen
from chargen.bench.timing import Stopwatch
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import ConfigError
from chargen.experiments.contenders import Budget, Chargen
from chargen.experiments.counting import counting_alone, ppmd
from chargen.experiments.curves import LearningCurve, Point
from chargen.experiments.quality import QualityOutcome, compare_quality
from chargen.experiments.references import Plain, SmallGPT
from chargen.ngrams import choose_order, count
from tests.support import LEARNABLE

STEPS = 16
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(LEARNABLE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def outcome(text: Path) -> QualityOutcome:
    return compare_quality(text, steps=STEPS, preset="tiny", seed=3, device="cpu")


def test_each_learns_for_the_same_budget_and_gets_better(outcome: QualityOutcome) -> None:
    for curve in (outcome.chargen, outcome.plain, outcome.gpt):
        assert curve.points[-1].steps == STEPS
        assert curve.points[-1].bits_per_char < curve.points[0].bits_per_char
        seconds = [point.seconds for point in curve.points]
        assert seconds == sorted(seconds)
    assert outcome.short.points[-1].steps == STEPS // 8


def test_chargens_result_is_that_of_the_train_command(
    outcome: QualityOutcome, text: Path, here: Path
) -> None:
    options = {"max_steps": STEPS, "eval_every": STEPS, "seed": 3, "device": "cpu"}
    run = chargen.train(text, preset="tiny", precision="float32", **options)
    assert run.bits_per_char == pytest.approx(outcome.chargen.bits_per_char, rel=1e-6)
    assert outcome.recalling.bits_per_char < outcome.chargen.bits_per_char


def test_all_learn_in_the_precision_of_the_outcome(
    corpus: Path, tmp_path: Path, outcome: QualityOutcome
) -> None:
    prepared, budget = PreparedCorpus.open(corpus), Budget(1, in_steps=True)
    run = Chargen(prepared, tmp_path, "a", "tiny", budget, seed=0, device=CPU, threads=1)
    run.close()
    assert run._session.config.precision == outcome.precision == "float32"
    assert next(SmallGPT(prepared, budget, CPU)._model.parameters()).dtype == torch.float32
    assert "float32" in outcome.tables()[0].title


def test_the_outcome_is_tables_json_and_a_picture(outcome: QualityOutcome, tmp_path: Path) -> None:
    values = json.loads(json.dumps(outcome.to_dict()))
    assert values["gpt"]["bits_per_char"] == outcome.gpt.bits_per_char
    learnt, reached = outcome.tables()
    assert [row[0] for row in learnt.rows] == [
        *("tiny", "tiny, short", "plain loop", "small GPT"),
        *("tiny, recalling", "counting alone", "PPMd"),
    ]
    assert all(len(row) == len(learnt.header) for row in learnt.rows)
    assert [row[0] for row in reached.rows] == ["tiny", "tiny, short"]
    outcome.draw(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_budget_by_the_clock_is_spent_by_all_whoever_reports(text: Path, here: Path) -> None:
    threads, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    told: list[float] = []

    def show(phase: str, done: float, total: float) -> None:
        assert (torch.get_num_threads(), torch.backends.cudnn.allow_tf32) == (threads, tf32)
        told.append(done / total)

    outcome = compare_quality(
        text, minutes=0.01, preset="tiny", device="cpu", threads=threads + 1, on_progress=show
    )
    assert outcome.gpt.points[-1].seconds >= 0.6
    assert outcome.threads == threads + 1
    assert told == sorted(told)
    assert told[-1] == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"minutes": 0}, {"steps": 0}, {"preset": "huge"}, {"vocab_size": 0}], ids=str
)
def test_options_that_are_not_usable_are_told(options: dict[str, Any], text: Path) -> None:
    with pytest.raises(ConfigError, match=next(iter(options)).replace("minutes", "max_minutes")):
        compare_quality(text, **options)


@pytest.mark.parametrize("pieces", [1, 31, 32, 33, 64, 65, 96, 160])
def test_the_gpt_is_scored_with_half_a_window_before_each_piece(corpus: Path, pieces: int) -> None:
    prepared = PreparedCorpus.open(corpus)
    gpt = SmallGPT(prepared, Budget(1), CPU)
    ids = np.asarray(prepared.train[:pieces], np.int64)
    stream = np.append(prepared.tokenizer.newline_id, ids)
    wanted = 0.0
    for n in range(pieces):
        seen = torch.from_numpy(stream[max(0, n // 32 - 1) * 32 : n + 1])
        with torch.no_grad():
            logits = gpt._model(input_ids=seen[None]).logits[0, -1]
        wanted -= float(torch.log_softmax(logits, 0)[int(ids[n])])
    assert gpt.score(ids).total().nats == pytest.approx(wanted, rel=1e-4)


def test_the_plain_loop_is_scored_like_chargen(corpus: Path) -> None:
    prepared = PreparedCorpus.open(corpus)
    plain = Plain(prepared, Budget(1), CPU)
    ids = torch.from_numpy(np.asarray(prepared.train[:300], np.int64))
    fed = torch.cat([torch.tensor([prepared.tokenizer.newline_id]), ids[:-1]])
    with torch.no_grad():
        s, _ = plain._model(fed[:, None], None)
        wanted = F.cross_entropy(plain._model.linear(s[:, 0]), ids, reduction="sum")
    assert plain.score(ids.numpy()).total().nats == pytest.approx(float(wanted), rel=1e-5)


def test_the_gpts_rate_rises_and_falls_over_its_budget(corpus: Path) -> None:
    gpt = SmallGPT(PreparedCorpus.open(corpus), Budget(1000, in_steps=True), CPU)
    rates = {}
    for gpt.steps in (0, 99, 500, 1000):
        rates[gpt.steps] = gpt.learning_rate()
    assert rates == pytest.approx({0: 1e-5, 99: 1e-3, 500: 5.5e-4, 1000: 1e-4})


def test_when_a_curve_reaches_a_figure() -> None:
    curve = LearningCurve("", 0, (Point(1.0, 1, 4.0), Point(3.0, 3, 2.0), Point(4.0, 4, 1.0)), 1.0)
    assert [curve.seconds_to(bits) for bits in (5.0, 4.0, 3.5, 2.0, 0.5)] == [1, 1, 1.5, 3, None]


def test_a_stopped_watch_stands_still() -> None:
    watch = Stopwatch()
    with watch.running():
        pass
    assert 0 < watch() == watch()


def test_counting_alone_is_a_kneser_ney_model(corpus: Path) -> None:
    prepared = PreparedCorpus.open(corpus)
    curve = counting_alone(prepared, prepared.val)
    n, newline = prepared.tokenizer.size, prepared.tokenizer.newline_id
    model = count(prepared.train, n, choose_order(n), newline)
    bits, state = 0.0, model.advance(model.initial_state(1), np.array([newline]))
    for piece in prepared.val:
        bits -= np.log2(model.row(state)[0][piece])
        state = model.advance(state, np.array([piece]))
    assert curve.bits_per_char == pytest.approx(bits / len(prepared.val), rel=1e-5)
    assert curve.parameters == len(model.trie.counts)


def test_ppmd_costs_what_the_end_adds_to_the_compressed_text(corpus: Path) -> None:
    prepared = PreparedCorpus.open(corpus)
    train, val = (prepared.tokenizer.decode(ids) for ids in (prepared.train, prepared.val))
    whole, beginning = (
        len(pyppmd.compress(each, max_order=6, mem_size=1 << 24, variant="H"))
        for each in (train + val, train)
    )
    found = ppmd(prepared, prepared.val).bits_per_char * len(val) / 8
    assert found == pytest.approx(whole - beginning, abs=8)
