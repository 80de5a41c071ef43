from __future__ import annotations

import math
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from chargen.corpus.prepared import PreparedCorpus
from chargen.options import Recipe
from chargen.runs.folder import RunFolder
from chargen.training import loop, session
from chargen.training import plan as planning
from chargen.training.events import (
    Checkpoint,
    Evaluation,
    Event,
    Finished,
    Planned,
    Sample,
    Step,
)
from chargen.training.learning_rate import learning_rate
from chargen.training.optimizer import clip_gradients
from tests.support import last_state, of_type, train_tiny, without_best


class Clock:
    """Stands still but for the steps, which take longer by the half after so many.

    Step ``hiccup`` takes two seconds more.
    """

    def __init__(self, slower_after: int, hiccup: int = 0) -> None:
        self.now, self.left, self.until_hiccup = 0.0, slower_after, hiccup

    def __call__(self) -> float:
        return self.now

    def clip(self, parameters: list[torch.nn.Parameter], largest: float) -> float:
        """A part of every step."""
        self.left -= 1
        self.now += 0.15 if self.left < 0 else 0.1
        self.until_hiccup -= 1
        self.now += 2 if self.until_hiccup == 0 else 0
        return clip_gradients(parameters, largest)


@pytest.mark.parametrize("warm_up", [0, 10])
def test_a_run_by_minutes_is_repeated_by_its_steps(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_up: int
) -> None:
    patient = Recipe(clock_overtime=1e9)  # a busy machine must not cut it short
    monkeypatch.setattr(planning, "Recipe", lambda: patient)
    events: list[Event] = []
    options = {"warmup_steps": warm_up}
    by_clock = {"max_steps": None, "max_minutes": 0.006, "on_event": events.append}
    timed = train_tiny(corpus, tmp_path / "timed", **by_clock, **options)
    planned = of_type(events, Planned)
    assert planned[-1].fixed
    assert (timed.reason, timed.steps) == ("done", planned[-1].total_steps)
    config = RunFolder(timed.path).read_config()
    assert config.total_steps == timed.steps
    repeated = train_tiny(corpus, tmp_path / "repeated", max_steps=timed.steps, **options)
    assert without_best(last_state(repeated.path)) == without_best(last_state(timed.path))


@pytest.mark.parametrize(
    ("slower_after", "hiccup", "eval_every"),
    [(0, 0, 0), (5, 0, 0), (1000, 0, 0), (1000, 31, 0), (20, 0, 2), (1000, 31, 2)],
)
def test_no_rate_before_the_plan_differs_from_that_of_the_plan(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slower_after: int,
    hiccup: int,
    eval_every: int,
) -> None:
    clock = Clock(slower_after, hiccup)
    monkeypatch.setattr(loop, "clip_gradients", clock.clip)
    monkeypatch.setattr(loop, "Session", partial(session.Session, clock=clock))
    options = {"max_minutes": 0.15, "warmup_steps": 0, "eval_every": eval_every}
    options["precision"] = "float32"  # in bfloat16 an evaluation is counted at another price
    events: list[Event] = []
    run = train_tiny(corpus, tmp_path, max_steps=None, on_event=events.append, **options)
    plans = of_type(events, Planned)
    assert [plan.fixed for plan in plans] == [False] * (len(plans) - 1) + [True]
    assert len(plans) > 1
    assert run.steps == plans[-1].total_steps > 40
    assert 6 < clock.now < 10
    training = RunFolder(run.path).read_config().training
    for event in of_type(events, Step):
        assert event.lr == learning_rate(event.step - 1, run.steps, training, Recipe())


def timed(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Let training go by ``clock``, in which trying a step takes as long as making one."""
    monkeypatch.setattr(loop, "clip_gradients", clock.clip)
    monkeypatch.setattr(session, "clip_gradients", clock.clip)
    monkeypatch.setattr(loop, "Session", partial(session.Session, clock=clock))


@pytest.mark.parametrize("minutes", [0.18, 0.25, 0.5])
@pytest.mark.parametrize("first", [{"max_minutes": 0.15}, {"max_minutes": None, "max_steps": 90}])
def test_a_run_resumed_with_more_minutes_fills_them_and_ends_its_decay(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: dict[str, float | None],
    minutes: float,
) -> None:
    clock = Clock(slower_after=10**9)
    timed(monkeypatch, clock)
    options = {"max_steps": None, "eval_every": 1000, "save_every": 1000}
    options["precision"] = "float32"
    run = train_tiny(corpus, tmp_path / "timed", **{**options, **first})
    shutil.copytree(tmp_path / "timed", tmp_path / "repeated")
    before, events = run.steps, list[Event]()
    options |= {"resume": True, "max_minutes": minutes, "on_event": events.append}
    again = train_tiny(corpus, tmp_path / "timed", **options)
    assert again.reason == "done"
    spent = events[-1].seconds
    assert 0.9 * minutes < spent / 60 < 1.05 * minutes
    training = RunFolder(again.path).read_config().training
    for event in of_type(events, Step):
        assert event.lr == learning_rate(event.step - 1, again.steps, training, Recipe())
    assert events[-1].step > before
    repeated = train_tiny(corpus, tmp_path / "repeated", resume=True, max_steps=again.steps)
    assert without_best(last_state(repeated.path)) == without_best(last_state(again.path))


def test_a_run_resumed_with_more_minutes_is_resumed_exactly(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(slower_after=10**9)
    timed(monkeypatch, clock)
    options: dict[str, Any] = {"max_steps": None, "resume": True}
    train_tiny(corpus, tmp_path / "killed", max_minutes=0.15, **options)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(corpus, tmp_path / "killed", max_minutes=0.25, on_event=interrupt, **options)
    total = RunFolder(tmp_path / "killed" / "run").read_config().total_steps
    clock.left = 0  # slower from here on
    again = train_tiny(corpus, tmp_path / "killed", max_minutes=0.25, **options)
    assert RunFolder(again.path).read_config().total_steps == total


def test_a_run_killed_before_its_steps_are_known_keeps_their_rates(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(slower_after=10**9)
    timed(monkeypatch, clock)
    options: dict[str, Any] = {"max_steps": None, "max_minutes": 0.25, "save_every": 50}
    options |= {"eval_every": 1000, "resume": True, "precision": "float32"}

    rates: dict[int, float] = {}

    def kill(event: Event) -> None:
        if isinstance(event, Step):
            rates[event.step] = event.lr
        if isinstance(event, Checkpoint) and event.step == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tiny(corpus, tmp_path / "killed", on_event=kill, **options)
    clock.left = 0  # slower from here on
    events: list[Event] = []
    run = train_tiny(corpus, tmp_path / "killed", on_event=events.append, **options)
    before = max(rates)
    rates |= {event.step: event.lr for event in of_type(events, Step)}
    config = RunFolder(run.path).read_config()
    assert config.total_steps is not None
    assert before == 50
    for step, rate in rates.items():
        assert rate == learning_rate(step - 1, config.total_steps, config.training, Recipe())


def interrupt(event: Event) -> None:
    """Stop the run once it knows its number of steps."""
    if isinstance(event, Planned):
        raise KeyboardInterrupt


def test_a_run_whose_minutes_are_over_before_it_begins_makes_a_step(
    corpus: Path, tmp_path: Path
) -> None:
    run = train_tiny(corpus, tmp_path, max_steps=None, max_minutes=1e-9)
    assert run.steps == 1


def test_a_minute_that_is_over_at_the_last_step_takes_nothing_from_the_end(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_SAVE_SECONDS", -1.0)
    events: list[Event] = []
    train_tiny(corpus, tmp_path, on_event=events.append)
    last = [type(event) for event in events if event.step == 20]
    assert last == [Step, Evaluation, Sample, Checkpoint, Finished]


def test_the_speed_is_that_of_the_characters_trained_on(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(slower_after=10**9)
    monkeypatch.setattr(loop, "clip_gradients", clock.clip)
    monkeypatch.setattr(loop, "Session", partial(session.Session, clock=clock))
    events: list[Event] = []
    train = PreparedCorpus.open(corpus).manifest.train
    lane = train.pieces // 4
    options = {"seq_length": lane // 5, "epochs": 1.0, "max_steps": None}  # and a short window
    train_tiny(corpus, tmp_path, on_event=events.append, **options)
    steps = of_type(events, Step)
    seconds = [0.1 * (b - a) for a, b in pairwise([0, *(event.step for event in steps)])]
    characters = sum(e.chars_per_second * s for e, s in zip(steps, seconds, strict=True))
    assert steps[-1].step == 6
    assert characters == pytest.approx(4 * lane * train.characters / train.pieces)


def test_by_the_clock_and_without_validation_nothing_is_evaluated(
    tmp_path: Path, here: Path
) -> None:
    Path("all.txt").write_text("天地玄黄宇宙洪荒\n" * 200, encoding="utf-8")
    events: list[Event] = []
    train_tiny(
        "all.txt",
        tmp_path,
        val_frac=0,
        max_steps=None,
        max_minutes=0.01,
        eval_every=2,
        on_event=events.append,
    )
    assert not of_type(events, Evaluation)


@pytest.mark.parametrize(("precision", "share"), [("float32", 1 / 3), ("bfloat16", 0.8)])
def test_evaluations_take_a_tenth_of_the_time_of_steps_in_their_format(
    precision: str, share: float, tmp_path: Path, here: Path
) -> None:
    Path("half.txt").write_text("天地玄黄宇宙洪荒\n" * 200, encoding="utf-8")
    events: list[Event] = []
    small = {"batch_size": 4, "seq_length": 16, "val_frac": 0.5, "max_steps": 140}
    run = train_tiny("half.txt", tmp_path, precision=precision, on_event=events.append, **small)
    scored = RunFolder(run.path).read_config().corpus.val_characters
    every = math.ceil(10 * scored * share / (4 * 16))
    assert every > 14
    assert of_type(events, Evaluation)[0].step == every


def test_all_steps_of_an_epoch_see_the_text_once(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train_tiny(corpus, tmp_path, max_steps=None, epochs=2, on_event=events.append)
    assert run.steps == 2 * events[0].steps_per_epoch  # type: ignore[attr-defined]
    assert of_type(events, Step)[-1].epoch == 2
