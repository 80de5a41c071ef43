from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import ConfigError
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
    Started,
    Step,
)
from tests.support import last_state, metrics, of_type, train_tiny, without_best


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
    assert without_best(results[0]) == without_best(results[1]) == without_best(results[2])


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
    assert without_best(last_state(run.path)) == without_best(last_state(whole.path))


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


def test_a_moved_run_goes_on(corpus: Path, tmp_path: Path) -> None:
    train_tiny(corpus, tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert train_tiny(corpus, tmp_path / "there", resume=True, max_steps=25).steps == 25
