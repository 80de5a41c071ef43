"""Learning to fill gaps: what is hidden, and the promises of training."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

import chargen
from chargen.network.infiller import Infiller
from chargen.options import ModelConfig
from chargen.training.accumulation import accumulate_gradient
from chargen.training.gaps import Gaps, hidden_spans
from tests.support import LEARNABLE, last_state, metrics, train_tiny


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    text = folder / "learnable.txt"
    text.write_text(LEARNABLE, encoding="utf-8")
    return chargen.prepare(text, folder / "lines", records="lines").path


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 2 / 3])
def test_spans_are_two_long_on_average_and_hide_a_share(share: float) -> None:
    lengths = np.array([*range(1, 400)])
    hidden = hidden_spans(np.random.default_rng(0), lengths, share)
    assert hidden.shape == (401, 399)
    places = np.arange(401)[:, None]
    assert not hidden[(places == 0) | (places > lengths)].any()
    assert hidden.sum() / lengths.sum() == pytest.approx(share, abs=0.01)
    if share:
        row = hidden[:, -1].tolist()
        spans = [len(list(group)) for is_hidden, group in groupby(row) if is_hidden]
        assert min(spans) == 1
        assert max(spans) > 3
        found = [len(list(g)) for row in hidden.T.tolist() for h, g in groupby(row) if h]
        assert np.mean(found) == pytest.approx(2, abs=0.1)


def test_parts_of_a_lesson_give_its_gradient() -> None:
    config = ModelConfig(9, task="infill", records=True, hidden_size=4, embedding_size=3)
    model = Infiller(config).double()
    model.reset_parameters(0)
    draw = np.random.default_rng(0)
    lengths = np.array([4, 6, 6, 1, 3])
    framed = torch.from_numpy(draw.integers(0, 9, (8, 5)))
    hidden = torch.from_numpy(hidden_spans(draw, lengths, 0.3))
    lesson = Gaps(framed, torch.from_numpy(lengths), hidden)
    grads = []
    for parts in (1, 2, 5):
        model.zero_grad()
        accumulate_gradient(model, lesson, None, parts)
        grads.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for other in grads[1:]:
        torch.testing.assert_close(other, grads[0])


def test_resume_matches_an_uninterrupted_run(lines: Path, tmp_path: Path) -> None:
    about = {"task": "infill", "dropout": 0.1, "threads": 1}
    whole = train_tiny(lines, tmp_path, name="whole", max_steps=14, **about)
    train_tiny(lines, tmp_path, name="parts", max_steps=9, **about)
    parts = train_tiny(lines, tmp_path, name="parts", max_steps=14, resume=True, threads=1)
    assert last_state(parts.path) == last_state(whole.path)


def test_a_gap_is_learnt_and_shown(lines: Path, tmp_path: Path) -> None:
    run = train_tiny(lines, tmp_path, task="infill", bidirectional=True, max_steps=60)
    samples = [each["text"] for each in metrics(run.path) if each["event"] == "sample"]
    gap, filled = samples[-1].split("\n")
    assert "□" in gap
    assert len(gap) == len(filled)
    model = chargen.load(run.path)
    assert model.infill("春眠□觉晓，处处闻□鸟。")[0].text == "春眠不觉晓，处处闻啼鸟。"


def test_another_run_of_its_kind_is_a_beginning(lines: Path, tmp_path: Path) -> None:
    first = train_tiny(lines, tmp_path, task="infill", max_steps=5)
    again = train_tiny(
        lines, tmp_path, name="again", preset=None, init_from=first.path, max_steps=1
    )
    assert chargen.load(again.path).loaded.config.model.task == "infill"


def test_lines_are_what_it_learns_from(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(chargen.CorpusError, match="one stream of text, and `task` is infill"):
        train_tiny(corpus, tmp_path, task="infill")
    with pytest.raises(chargen.ConfigError, match="both sides"):
        train_tiny(corpus, tmp_path, task="infill", ngram=3)
