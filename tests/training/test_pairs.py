from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

import chargen
from chargen.errors import ChargenError
from chargen.machine.team import ALONE
from chargen.training.accumulation import accumulate_gradient
from chargen.training.counts import Counts
from chargen.training.pairs import Answers, Pairs
from chargen.training.plan import TrainRequest, plan
from tests.pairs import answering, write_pairs
from tests.support import last_state, metrics, train_tiny

if TYPE_CHECKING:
    from chargen.training.state import TrainingState

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


def test_in_two_passes_each_pair_is_learnt_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [(f"春{letter}花", f"秋{letter}月") for letter in "甲乙丙丁戊己庚辛壬癸"]
    rows = ["src\ttrg", *("\t".join(line) for line in lines)]
    (tmp_path / "pairs.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    model = {"task": "seq2seq", "ngram": "2"}
    training = {"batch_size": 1, "seq_length": 24}
    request = TrainRequest(
        "pairs.tsv", tmp_path, settings={"val_frac": 0.0}, model=model, training=training
    )
    made = plan(request)
    assert made.config.model.also_reversed
    counts = Counts.of(made.corpus, made.config.model)
    learnt = Pairs(made.config, made.corpus, counts)
    decode, seen = made.corpus.tokenizer.decode, []
    for step in range(2 * learnt.steps_per_epoch):
        state = cast("TrainingState", SimpleNamespace(step=step, team=ALONE))
        lesson = cast("Answers", learnt.lesson(state).lesson)
        assert lesson.back is not None
        assert lesson.counted is not None
        for row, back in enumerate(lesson.back.tolist()):
            source, target = decode(lesson.source[:-1, row]), decode(lesson.targets[:-1, row])
            seen.append((target, source) if back else (source, target))
            assert source.startswith("秋") == bool(back)
            first, second = lesson.counted[0, row], lesson.counted[1, row]
            assert first > 0.3 > second  # 春 and 秋 begin half of the texts each
    assert sorted(seen) == sorted(2 * lines)


def test_pairs_of_different_lengths_are_learnt_one_way_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A character that the vocabulary lacks is several pieces, and still one character."""
    monkeypatch.chdir(tmp_path)
    for second, given, expected in (
        ("冬天", {}, True),
        ("冬", {}, False),
        ("冬", {"also_reversed": True}, True),
    ):
        lines = f"src\ttrg\n春天\t秋天\n夏天\t{second}\n"
        (tmp_path / "pairs.tsv").write_text(lines, encoding="utf-8")
        settings = {"val_frac": 0.0, "vocab_size": 3, "oov": "bytes"}
        model = {"task": "seq2seq", **given}
        made = plan(TrainRequest("pairs.tsv", tmp_path, settings=settings, model=model))
        assert made.config.model.also_reversed == expected


def test_parts_of_a_lesson_give_the_gradient_of_the_whole() -> None:
    model = answering(9, bidirectional=True, ngram="3", also_reversed=True)
    draw = torch.Generator().manual_seed(0)
    source, targets = (torch.randint(2, 9, (n, 5), generator=draw) for n in (4, 6))
    counted = torch.rand(6, 5, generator=draw)
    ids = torch.cat([torch.zeros(1, 5, dtype=torch.int64), targets[:-1]])
    lengths = torch.tensor([4, 2, 3, 1, 4]), torch.tensor([6, 1, 2, 5, 3])
    back = torch.tensor([0, 1, 1, 0, 0])
    lesson = Answers(source, lengths[0], ids, targets, lengths[1], counted, back)
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
