from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import chargen
from chargen.errors import ChargenError
from chargen.training.accumulation import accumulate_gradient
from chargen.training.pairs import Answers
from tests.pairs import answering, write_pairs
from tests.support import last_state, metrics, train_tiny

TASK = {"task": "seq2seq", "bidirectional": True}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.tsv")


@pytest.mark.parametrize("attention", ["none", "dot", "additive"])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(
    attention: str, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {**TASK, "attention": attention, "dropout": 0.2, "val_frac": 0.1}
    options["ngram"] = {"none": 2, "dot": 3, "additive": 0}[attention]
    train_tiny(pairs, tmp_path / "whole", max_steps=12, **options)
    train_tiny(pairs, tmp_path / "halves", max_steps=6, **options)
    chargen.train(runs_dir=tmp_path / "halves", name="run", resume=True, max_steps=12)
    whole, halves = (last_state(tmp_path / name / "run") for name in ("whole", "halves"))
    weights = [name for name in whole if name.startswith(("model.", "optimizer.", "generator"))]
    assert len(weights) > 10
    assert whole["step"] == halves["step"] == 12
    assert {n: whole[n] for n in weights} == {n: halves[n] for n in weights}


def test_it_learns_to_turn_letters_round(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = train_tiny(pairs, tmp_path, max_steps=200, lr=2e-2, **TASK)
    events = metrics(run.path)
    measured = [line["bits_per_char"] for line in events if line["event"] == "evaluation"]
    assert measured[-1] < 0.6 * measured[0]
    samples = [line["text"] for line in events if line["event"] == "sample"]
    assert all(len(text.split("\n")) == 2 for text in samples)


@pytest.mark.parametrize("cell", ["feedforward", "clockwork", "mingru"])
def test_a_run_of_any_cell_is_whole(
    cell: str, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = train_tiny(pairs, tmp_path, max_steps=2, cell=cell, **TASK)
    assert chargen.inspect(run.path).problems == ()


def test_attention_is_the_default(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = train_tiny(pairs, tmp_path, max_steps=1, task="seq2seq")
    assert run.load().loaded.config.model.attention == "dot"


def test_parts_of_a_lesson_give_the_gradient_of_the_whole() -> None:
    model = answering(9, bidirectional=True, ngram="3")
    draw = torch.Generator().manual_seed(0)
    source, targets = (torch.randint(2, 9, (n, 5), generator=draw) for n in (4, 6))
    counted = torch.rand(6, 5, generator=draw)
    ids = torch.cat([torch.zeros(1, 5, dtype=torch.int64), targets[:-1]])
    lengths = torch.tensor([4, 2, 3, 1, 4]), torch.tensor([6, 1, 2, 5, 3])
    lesson = Answers(source, lengths[0], ids, targets, lengths[1], counted)
    gradients = []
    for parts in (1, 3):
        model.zero_grad()
        loss, _ = accumulate_gradient(model, lesson, parts=parts)
        found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        gradients.append([loss, *found])
    for whole, summed in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, summed, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"task": "lm", "records": "pairs"}, "task"),
        ({"task": "seq2seq", "cell": "jordan"}, "jordan"),
    ],
)
def test_what_does_not_fit_is_one_error(
    options: dict[str, Any],
    what: str,
    pairs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChargenError, match=what):
        train_tiny(pairs, tmp_path, **options)
