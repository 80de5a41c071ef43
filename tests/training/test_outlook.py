"""What a run tells of its past and its future: earlier curves, time left, an early sample."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from chargen.corpus.prepared import PreparedCorpus
from chargen.evaluation.scores import score_characters
from chargen.training import loop, session
from chargen.training.events import Earlier, Event, Finished, Planned, Sample, Started, Step
from tests.support import metrics, of_type, train_tiny
from tests.training.test_budget import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the steps alone move, by 0.1 s and after 200 of them by 0.15 s."""
    made = Clock(slower_after=200)
    monkeypatch.setattr(loop, "clip_gradients", made.clip)
    monkeypatch.setattr(loop, "Session", partial(session.Session, clock=made))
    return made


def test_a_resumed_run_tells_what_it_has_recorded(corpus: Path, tmp_path: Path) -> None:
    every = {"eval_every": 5, "sample_every": 5}
    first: list[Event] = []
    train_tiny(corpus, tmp_path, max_steps=20, on_event=first.append, **every)
    assert not of_type(first, Earlier)
    second: list[Event] = []
    run = train_tiny(corpus, tmp_path, max_steps=30, resume=True, on_event=second.append, **every)
    assert isinstance(second[0], Started)
    assert isinstance(earlier := second[1], Earlier)
    lines = metrics(run.path)
    assert not [line for line in lines if line["event"] == "earlier"]
    before = [line for line in lines if line["step"] <= 20]
    assert earlier.losses == tuple(
        (line["step"], line["loss"]) for line in before if line["event"] == "step"
    )
    assert [step for step, _ in earlier.evaluations] == [5, 10, 15, 20]
    assert [step for step, _ in earlier.samples] == [10, 15, 20]


def test_the_first_sample_comes_soon(corpus: Path, tmp_path: Path, clock: Clock) -> None:
    events: list[Event] = []
    options = {"max_steps": 1000, "sample_every": 0}
    train_tiny(corpus, tmp_path, stop=lambda: clock.now > 8, on_event=events.append, **options)
    (sample,) = of_type(events, Sample)
    assert 3 < sample.seconds < 3.5


def test_samples_come_as_they_were_asked_for(corpus: Path, tmp_path: Path, clock: Clock) -> None:
    events: list[Event] = []
    train_tiny(corpus, tmp_path, max_steps=60, sample_every=50, on_event=events.append)
    assert [sample.step for sample in of_type(events, Sample)] == [50, 60]


def test_the_time_left_is_the_time_that_it_takes(
    corpus: Path, tmp_path: Path, clock: Clock
) -> None:
    events: list[Event] = []
    options = {"precision": "float32"}  # in bfloat16 an evaluation is counted at another price
    train_tiny(corpus, tmp_path, max_steps=150, on_event=events.append, **options)
    (finished,) = of_type(events, Finished)
    for step in of_type(events, Step)[1:]:
        assert step.seconds_left == pytest.approx(finished.seconds - step.seconds, abs=1.0)


def test_a_slower_pace_is_announced(corpus: Path, tmp_path: Path, clock: Clock) -> None:
    events: list[Event] = []
    train_tiny(corpus, tmp_path, max_steps=600, on_event=events.append)
    first, *later = of_type(events, Planned)
    (finished,) = of_type(events, Finished)
    assert later
    assert all(plan.fixed and plan.total_steps == 600 for plan in later)
    wrong = [abs(plan.total_seconds - finished.seconds) for plan in (first, *later)]
    assert wrong == sorted(wrong, reverse=True)
    assert wrong[-1] < 0.15 * finished.seconds
    seconds = [plan.seconds for plan in (first, *later)]
    assert all(b - a >= 10 for a, b in pairwise(seconds))


@pytest.mark.parametrize("oov", ["unk", "bytes"])
def test_a_loss_in_nats_is_known_in_bits_per_character(
    oov: str, corpus: Path, tmp_path: Path
) -> None:
    """The oracle: the protocol of evaluations, on the training split itself."""
    import chargen

    text = corpus.parent / "learnable.txt"
    few = chargen.prepare(text, tmp_path / "few", vocab_size=12, oov=oov, val_frac=0)
    events: list[Event] = []
    run = train_tiny(few, tmp_path, on_event=events.append, max_steps=30)
    (started,) = of_type(events, Started)
    generator = run.load()
    opened = PreparedCorpus.open(few.path)
    scores = score_characters(generator.loaded.model, opened.tokenizer, opened.train).total()
    unknown = int((opened.train == opened.tokenizer.unk_id).sum())
    assert (unknown > 0) == (oov == "unk")
    bits = scores.bits_per_char * scores.characters - unknown * opened.tokenizer.unk_extra_bits
    nats = bits * math.log(2) / len(opened.train)  # per piece: what a training loss is
    assert nats * started.bits_per_nat + started.unknown_bits == pytest.approx(scores.bits_per_char)
