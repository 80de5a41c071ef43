from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import CheckpointError, ConfigError, CorpusError, TrainingError
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
    RolledBack,
    Sample,
    Started,
    Step,
)
from chargen.training.learning_rate import learning_rate
from chargen.training.optimizer import clip_gradients
from tests.support import files_in, last_state, metrics, train_tiny


def of_type(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_learnable_text_is_learnt(corpus: Path, tmp_path: Path) -> None:
    run = train_tiny(corpus, tmp_path, max_steps=300, hidden_size=64)
    assert run.bits_per_char is not None
    assert run.bits_per_char < 0.1
    text = run.load().generate("春眠", length=40, temperature=0)[0]
    assert "不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。\n"[:20] in "春眠" + text


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_loss_goes_down(cell: str, corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    train_tiny(corpus, tmp_path, cell=cell, max_steps=60, on_event=events.append)
    losses = [event.loss for event in of_type(events, Step)]
    assert losses[-1] < losses[0] / 2


def test_looking_on_does_not_change_the_result(corpus: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"dropout": 0.2, "max_steps": 14}
    results = []
    for n, every in enumerate((2, 7, 1000)):
        rhythm = {"eval_every": every, "sample_every": every, "save_every": every}
        torch.manual_seed(n)  # nothing global matters either
        results.append(last_state(train_tiny(corpus, tmp_path / str(n), **rhythm, **settings).path))
    assert _without_best(results[0]) == _without_best(results[1]) == _without_best(results[2])


def _without_best(state: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in state.items() if n not in ("best_bits", "evaluations_since_best")}


def test_training_leaves_the_random_numbers_as_they_were(corpus: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train_tiny(corpus, tmp_path, dropout=0.2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def own_settings() -> Iterator[tuple[int, bool]]:
    """Settings of the process that differ from those of training."""
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    assert torch.backends.cudnn.allow_tf32
    yield 3, True
    torch.set_num_threads(threads)


def settings() -> tuple[int, bool]:
    return torch.get_num_threads(), torch.backends.cudnn.allow_tf32


def test_a_callback_runs_under_its_own_settings(
    corpus: Path, tmp_path: Path, own_settings: tuple[int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, seen = set(), set()

    def clip(parameters: list[torch.nn.Parameter], largest: float) -> float:
        inside.add(settings())
        return clip_gradients(parameters, largest)

    monkeypatch.setattr(loop, "clip_gradients", clip)
    events: list[Event] = []
    train_tiny(
        corpus,
        tmp_path,
        threads=1,
        on_event=lambda event: (events.append(event), seen.add(settings())),
    )
    assert inside == {(1, False)}
    assert seen == {own_settings}
    assert events[0].threads == 1  # type: ignore[attr-defined]
    assert settings() == own_settings


@pytest.mark.parametrize("kind", [Started, Step, Finished])
def test_an_error_of_a_callback_leaves_the_settings_as_they_were(
    corpus: Path, tmp_path: Path, own_settings: tuple[int, bool], kind: type[Event]
) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, kind):
            raise KeyError

    with pytest.raises(KeyError):
        train_tiny(corpus, tmp_path, threads=1, on_event=fail)
    assert settings() == own_settings


def test_an_error_in_training_leaves_the_settings_as_they_were(
    corpus: Path, tmp_path: Path, own_settings: tuple[int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> float:
        raise KeyError

    monkeypatch.setattr(loop, "clip_gradients", fail)
    with pytest.raises(KeyError):
        train_tiny(corpus, tmp_path, threads=1)
    assert settings() == own_settings


def test_without_validation_a_session_never_scores_it(corpus: Path, tmp_path: Path) -> None:
    request = planning.TrainRequest(
        corpus, tmp_path, preset="tiny", name="run", training={"max_steps": 9, "device": "cpu"}
    )
    run = planning.new_run(request)
    opened = session.Session(run, validate=False)
    events = list(loop.session_events(opened, lambda: False))
    assert not of_type(events, Evaluation)
    assert of_type(events, Finished)[0].best_bits_per_char is None
    assert run.folder.load_model().step == 9
    assert run.folder.read_config().corpus.val_characters > 0


def test_another_seed_is_another_run(corpus: Path, tmp_path: Path) -> None:
    one = last_state(train_tiny(corpus, tmp_path / "1", seed=1).path)
    again = last_state(train_tiny(corpus, tmp_path / "2", seed=1).path)
    other = last_state(train_tiny(corpus, tmp_path / "3", seed=2).path)
    assert one == again
    assert one["model.table"] != other["model.table"]


@pytest.mark.parametrize("warm_up", [0, 10])
def test_a_run_by_minutes_is_repeated_by_its_steps(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_up: int
) -> None:
    patient = Recipe(clock_overtime=1e9)  # a busy machine must not cut it short
    monkeypatch.setattr(planning, "Recipe", lambda: patient)
    events: list[Event] = []
    options = {"warmup_steps": warm_up}
    by_clock = {"max_steps": None, "max_minutes": 0.015, "on_event": events.append}
    timed = train_tiny(corpus, tmp_path / "timed", **by_clock, **options)
    planned = of_type(events, Planned)
    assert planned[-1].fixed
    assert (timed.reason, timed.steps) == ("done", planned[-1].total_steps)
    config = RunFolder(timed.path).read_config()
    assert config.total_steps == timed.steps
    repeated = train_tiny(corpus, tmp_path / "repeated", max_steps=timed.steps, **options)
    assert _without_best(last_state(repeated.path)) == _without_best(last_state(timed.path))


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


@pytest.mark.parametrize(
    ("slower_after", "hiccup"), [(0, 0), (5, 0), (20, 0), (1000, 0), (1000, 31)]
)
@pytest.mark.parametrize("eval_every", [0, 2])
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


def test_the_best_weights_are_kept(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train_tiny(corpus, tmp_path, eval_every=4, max_steps=30, lr=0.3, on_event=events.append)
    evaluations = of_type(events, Evaluation)
    best = min(evaluations, key=lambda event: event.bits_per_char)
    assert run.bits_per_char == best.bits_per_char
    assert [e for e in evaluations if e.best][-1] == best
    loaded = run.load()
    assert loaded.loaded.step == best.step
    val = PreparedCorpus.open(corpus)
    score = loaded.score(val.tokenizer.decode(val.val))
    assert score.bits_per_char == pytest.approx(best.bits_per_char, abs=1e-6)


def test_without_validation_the_best_is_the_last(corpus: Path, tmp_path: Path) -> None:
    source = corpus.parent / "learnable.txt"
    whole = chargen.prepare(source, tmp_path / "whole", val_frac=0)
    events: list[Event] = []
    run = train_tiny(whole, tmp_path, on_event=events.append)
    assert run.bits_per_char is None
    assert not of_type(events, Evaluation)
    saved = RunFolder(run.path).load_last()
    assert saved is not None
    loaded = chargen.load(run.path, device="cpu").loaded
    assert loaded.step == 20
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, saved[0][f"model.{name}"])


def test_patience_ends_a_run_that_gets_no_better(corpus: Path, tmp_path: Path) -> None:
    run = train_tiny(
        corpus, tmp_path, lr=1e-30, weight_decay=0.0, patience=2, eval_every=1, max_steps=50
    )
    assert (run.reason, run.steps) == ("patience", 3)  # the first is the best, two are no better


def test_patience_needs_validation(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`patience` needs a validation split"):
        train_tiny(corpus, tmp_path, patience=2, val_frac=0)


def test_an_early_stop_saves_and_goes_on_exactly(corpus: Path, tmp_path: Path) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 9

    run = train_tiny(corpus, tmp_path / "stopped", stop=stop)
    assert (run.reason, run.steps) == ("interrupted", 9)
    train_tiny(corpus, tmp_path / "stopped", resume=True)
    whole = train_tiny(corpus, tmp_path / "whole")
    assert _without_best(last_state(run.path)) == _without_best(last_state(whole.path))


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


def test_an_interrupted_end_is_measured_when_it_is_done(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    train_tiny(corpus, tmp_path, max_steps=20, eval_every=20, stop=_after(12))
    train_tiny(corpus, tmp_path, max_steps=12, eval_every=20, resume=True, on_event=events.append)
    assert [e.step for e in of_type(events, Evaluation)] == [12]
    assert (tmp_path / "run" / "model.safetensors").exists()
    again: list[Event] = []
    train_tiny(corpus, tmp_path, max_steps=12, eval_every=20, resume=True, on_event=again.append)
    assert not of_type(again, Evaluation)


def _after(steps: int) -> Callable[[], bool]:
    """A stop that comes before step number ``steps``, from 0."""
    asked = iter(range(steps + 1))
    return lambda: next(asked) == steps


def test_only_the_settings_that_are_given_are_compared(tmp_path: Path, here: Path) -> None:
    Path("some.txt").write_text("天地玄黄宇宙洪荒\n" * 200, encoding="utf-8")
    prepared = chargen.prepare("some.txt", "made", vocab_size=7)
    train_tiny(prepared.path, tmp_path, val_frac=0.1)
    train_tiny(None, tmp_path, oov="auto", resume=True)
    with pytest.raises(ConfigError, match="other settings"):
        train_tiny(prepared.path, tmp_path, name="other", val_frac=0.2)


def test_events_tell_the_whole_story(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train_tiny(
        corpus, tmp_path, eval_every=5, sample_every=10, save_every=10, on_event=events.append
    )
    assert [type(event) for event in events[:3]] == [Started, Checkpoint, Planned]
    assert isinstance(events[-1], Finished)
    assert [e.step for e in of_type(events, Evaluation)] == [5, 10, 15, 20]
    assert [e.step for e in of_type(events, Sample)] == [10, 20]
    assert [e.step for e in of_type(events, Checkpoint)] == [0, 10, 20]
    assert [e.step for e in of_type(events, Step)] == [1, 10, 20]
    seconds = [event.seconds for event in events]
    assert seconds == sorted(seconds)
    written = [json.loads(json.dumps(event.to_dict())) for event in events]
    for line in written:  # without paths, which tell of their user
        if line["event"] == "checkpoint":
            line["path"] = f"last/{line['step']}"
        if line["event"] == "finished":
            line["run"] = "run"
    assert metrics(run.path) == written


def test_all_steps_of_an_epoch_see_the_text_once(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train_tiny(corpus, tmp_path, max_steps=None, epochs=2, on_event=events.append)
    assert run.steps == 2 * events[0].steps_per_epoch  # type: ignore[attr-defined]
    assert of_type(events, Step)[-1].epoch == 2


class Spoilt(session.Session):
    """A real session whose weights are spoilt after some step, as often as it is asked to."""

    at, times = 0, 0

    def next_window(self) -> Any:
        if self.state.step == Spoilt.at and Spoilt.times:
            Spoilt.times -= 1
            with torch.no_grad():
                self.state.model.table.fill_(float("inf"))
        return super().next_window()


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
    assert "`lr`" in caught.value.remedy
    assert [e.lr_scale for e in of_type(events, RolledBack)] == [0.5, 0.25, 0.125]
    loaded = RunFolder(tmp_path / "run").load_model()
    assert all(p.isfinite().all() for p in loaded.model.parameters())


def test_a_short_text_gets_smaller_windows_and_says_so(tmp_path: Path, here: Path) -> None:
    Path("short.txt").write_text("一二三四五六七八九十\n" * 3, encoding="utf-8")
    events: list[Event] = []
    run = train_tiny("short.txt", tmp_path, seq_length=16, batch_size=8, on_event=events.append)
    config = RunFolder(run.path).read_config().training
    assert (config.batch_size, config.seq_length) == (1, 16)
    (note,) = of_type(events, Started)[0].notes
    assert note == "The text is short: batch 1 instead of 8."


@pytest.mark.parametrize(("end", "told"), [("アイウエオ\n", True), ("一二三四五\n", False)])
def test_a_validation_split_in_another_script_is_said(
    end: str, told: bool, tmp_path: Path, here: Path
) -> None:
    Path("text.txt").write_text("一二三四五六七八九十\n" * 90 + end * 18, encoding="utf-8")
    events: list[Event] = []
    train_tiny("text.txt", tmp_path, on_event=events.append, max_steps=2)
    notes = of_type(events, Started)[0].notes
    assert any(note.startswith("83% of the validation split") for note in notes) == told


def test_an_unsure_encoding_is_said(tmp_path: Path, here: Path) -> None:
    Path("text.txt").write_bytes("안녕하세요 여러분. 오늘은 비가 옵니다.\n".encode("euc-kr") * 30)
    events: list[Event] = []
    train_tiny("text.txt", tmp_path, on_event=events.append, max_steps=2)
    notes = of_type(events, Started)[0].notes
    (made,) = Path("corpora").iterdir()
    warnings = PreparedCorpus.open(made).manifest.warnings
    assert notes == warnings


@pytest.mark.parametrize("content", ["", "   \n", "aaaa", "字"])
def test_a_text_without_anything_to_learn_leaves_nothing(content: str, here: Path) -> None:
    Path("text.txt").write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError):
        train_tiny("text.txt", Path("checkpoints"))
    assert list(files_in(here)) == ["text.txt"]


def test_problems_are_told_together_and_before_anything_is_written(here: Path) -> None:
    Path("text.txt").write_text("some text\n" * 50, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        train_tiny(
            "text.txt",
            Path("checkpoints"),
            preset="huge",
            cell="nonsense",
            epochs=3,
            val_frac=2,
        )
    text = caught.value.message
    for part in ("'huge'", "'nonsense'", "`epochs` and `max_steps`", "`val_frac` is 2"):
        assert part in text
    assert list(files_in(here)) == ["text.txt"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b"])
def test_a_name_that_can_be_none_is_an_error(name: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be the name of a run"):
        train_tiny(corpus, tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_an_existing_name_is_an_error(run: Path, corpus: Path) -> None:
    before = files_in(run)
    with pytest.raises(CheckpointError, match="exists already"):
        train_tiny(corpus, run.parent, name="run")
    assert files_in(run) == before


def test_runs_without_a_name_are_numbered(corpus: Path, tmp_path: Path) -> None:
    names = [train_tiny(corpus, tmp_path, name=None, max_steps=1).path.name for _ in range(2)]
    assert names == ["learnable-lstm-1", "learnable-lstm-2"]


def test_a_run_is_named_after_its_text(here: Path) -> None:
    Path(".draft.txt").write_text("some text\nand more\n" * 50, encoding="utf-8")
    for corpus in (".draft.txt", chargen.prepare(".draft.txt", "anything")):
        assert train_tiny(corpus, here, name=None, max_steps=1).path.name.startswith("draft-lstm-")


def test_a_text_is_prepared_once(here: Path) -> None:
    Path("text.txt").write_text("some text\nand more\n" * 50, encoding="utf-8")
    train_tiny("text.txt", Path("checkpoints"), name="1", max_steps=1)
    (made,) = Path("corpora").iterdir()
    stamp = (made / "manifest.json").stat().st_mtime_ns
    train_tiny("text.txt", Path("checkpoints"), name="2", max_steps=1)
    assert list(Path("corpora").iterdir()) == [made]
    assert (made / "manifest.json").stat().st_mtime_ns == stamp


def test_another_text_or_other_settings_take_nothing_from_a_run(here: Path) -> None:
    Path("text.txt").write_text("some text\nand more\n" * 50, encoding="utf-8")
    train_tiny("text.txt", Path("checkpoints"), name="1", max_steps=1)
    train_tiny("text.txt", Path("checkpoints"), name="2", max_steps=1, vocab_size=5)
    Path("text.txt").write_text("another text\n" * 50, encoding="utf-8")
    train_tiny("text.txt", Path("checkpoints"), name="3", max_steps=1)
    for name in ("1", "2", "3"):
        run = train_tiny(None, Path("checkpoints"), name=name, resume=True, max_steps=3)
        assert run.steps == 3


def test_an_error_of_the_listener_is_its_own(corpus: Path, tmp_path: Path) -> None:
    def listener(event: Event) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        train_tiny(corpus, tmp_path, on_event=listener)
    with RunFolder(tmp_path / "run").lock():  # it was let go
        pass


def test_a_moved_run_goes_on(corpus: Path, tmp_path: Path) -> None:
    train_tiny(corpus, tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert train_tiny(corpus, tmp_path / "there", resume=True, max_steps=25).steps == 25
