from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from chargen.errors import TrainingError
from chargen.options import Recipe
from chargen.runs.finding import is_finished
from chargen.runs.folder import RunFolder
from chargen.training import loop, session
from chargen.training.events import (
    Evaluation,
    Event,
    Finished,
    RolledBack,
    Step,
)
from chargen.training.learning_rate import learning_rate
from tests.support import metrics, of_type, train_tiny


class Spoilt(session.Session):
    """A real session whose weights are spoilt after some step, as often as it is asked to."""

    at, times = 0, 0

    def next_lesson(self) -> Any:
        if self.state.step == Spoilt.at and Spoilt.times:
            Spoilt.times -= 1
            with torch.no_grad():
                self.state.model.table.fill_(float("inf"))
        return super().next_lesson()


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> type[Spoilt]:
    monkeypatch.setattr(loop, "Session", Spoilt)
    return Spoilt


def test_a_loss_that_is_not_finite_goes_back_to_the_last_checkpoint(
    corpus: Path, tmp_path: Path, spoilt: type[Spoilt]
) -> None:
    spoilt.at, spoilt.times = 13, 2
    events: list[Event] = []
    run = train_tiny(corpus, tmp_path, save_every=5, eval_every=5, on_event=events.append)
    backs = of_type(events, RolledBack)
    assert [(e.step, e.failed_step, e.lr_scale) for e in backs] == [(10, 13, 0.5), (10, 13, 0.25)]
    assert (run.reason, run.steps) == ("done", 20)
    assert RunFolder(run.path).verify() == []
    steps = [line["step"] for line in metrics(run.path)]
    assert steps == sorted(steps)
    saved = RunFolder(run.path).load_last()
    assert saved is not None
    assert (saved[1]["lr_scale"], saved[1]["rollbacks"]) == (0.25, 2)
    assert all(t.isfinite().all() for t in saved[0].values())
    rate = of_type(events, Step)[-1].lr
    assert rate == pytest.approx(
        0.25 * learning_rate(19, 20, RunFolder(run.path).read_config().training, Recipe())
    )


def test_the_time_before_a_rollback_is_not_given_back(
    corpus: Path, tmp_path: Path, spoilt: type[Spoilt]
) -> None:
    class Killed(BaseException):
        pass

    def kill(event: Event) -> None:
        if isinstance(event, RolledBack):
            raise Killed

    spoilt.at, spoilt.times = 13, 1
    with pytest.raises(Killed):
        train_tiny(corpus, tmp_path, save_every=5, on_event=kill)
    train_tiny(corpus, tmp_path, resume=True)
    seconds = [line["seconds"] for line in metrics(tmp_path / "run")]
    assert seconds == sorted(seconds)


def test_blown_up_weights_become_no_checkpoint(
    corpus: Path, tmp_path: Path, spoilt: type[Spoilt]
) -> None:
    spoilt.at, spoilt.times = 10, 1  # right when evaluation, sample and checkpoint are due
    events: list[Event] = []
    run = train_tiny(
        corpus,
        tmp_path,
        save_every=5,
        eval_every=5,
        sample_every=5,
        on_event=events.append,
    )
    assert [(e.step, e.failed_step) for e in of_type(events, RolledBack)] == [(5, 10)]
    assert run.reason == "done"
    assert all(math.isfinite(e.bits_per_char) for e in of_type(events, Evaluation))


def test_it_gives_up_after_three_times(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(TrainingError, match="not finite, after 3 restarts") as caught:
        train_tiny(
            corpus,
            tmp_path,
            cell="rnn",
            activation="relu",
            optimizer="sgd",
            lr=1e25,
            grad_clip=0.0,
            warmup_steps=0,
            on_event=events.append,
        )
    assert "run keeps the weights of step 0." in caught.value.message
    assert "`lr`" in caught.value.remedy
    assert "find-lr" in caught.value.remedy
    assert [e.lr_scale for e in of_type(events, RolledBack)] == [0.5, 0.25, 0.125]
    assert events[-1] == Finished(1, events[-1].seconds, "diverged", None, str(tmp_path / "run"))
    loaded = RunFolder(tmp_path / "run").load_model()
    assert all(p.isfinite().all() for p in loaded.model.parameters())


def test_what_was_learnt_before_a_run_diverged_is_kept(
    corpus: Path, tmp_path: Path, spoilt: type[Spoilt]
) -> None:
    spoilt.at, spoilt.times = 13, 4
    with pytest.raises(TrainingError, match="diverged: the loss at step 14 is not") as caught:
        train_tiny(corpus, tmp_path, save_every=5, eval_every=5)
    loaded = RunFolder(tmp_path / "run").load_model()
    assert loaded.bits_per_char is not None
    assert (
        f"run keeps the weights of step 10, {loaded.bits_per_char:.4g} bits per character."
        in caught.value.message
    )
    assert loaded.step == 10
    assert metrics(tmp_path / "run")[-1]["reason"] == "diverged"
    assert not is_finished(tmp_path / "run")
    again = train_tiny(corpus, tmp_path, resume=True)
    assert (again.reason, again.steps) == ("done", 20)
    assert is_finished(again.path)


def test_a_run_whose_loss_is_finite_and_far_beyond_guessing_has_diverged_too(
    corpus: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    with pytest.raises(TrainingError, match=r"diverged: the loss at step 20 is \S+ nats") as caught:
        train_tiny(corpus, tmp_path, lr=100.0, on_event=events.append)
    assert "find-lr" in caught.value.remedy
    assert (events[-1].step, metrics(tmp_path / "run")[-1]["reason"]) == (20, "diverged")
    assert RunFolder(tmp_path / "run").verify() == []
    with pytest.raises(TrainingError, match="diverged"):
        train_tiny(corpus, tmp_path, resume=True)
