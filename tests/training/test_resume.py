"""N steps, a kill, and M more are N+M steps: every bit of everything that training carries."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import chargen
from chargen.errors import CheckpointError, ConfigError, CorpusError
from chargen.options import CELLS, Recipe
from chargen.runs.folder import RunFolder
from chargen.training import plan as planning
from chargen.training.events import Checkpoint, Event, Started, Step
from chargen.training.optimizer import OPTIMIZERS
from chargen.training.resume import MAY_CHANGE
from chargen.training.state import TrainingState
from tests.processes import start_script
from tests.support import files_in, last_state, metrics, train_tiny

VARIANTS = [
    *[pytest.param({"cell": name}, id=name) for name in CELLS],
    *[pytest.param({"optimizer": name, "lr": 1e-3}, id=name) for name in OPTIMIZERS],
    pytest.param({"dropout": 0.3, "num_layers": 2, "sample_every": 0}, id="dropout"),
    pytest.param({"ngram": 3, "dropout": 0.3}, id="ngram"),
    pytest.param({"ngram": 2, "gradient_accumulation_steps": 3}, id="ngram-accumulation"),
    pytest.param({"dropout_growth": 0.4}, id="growing-dropout"),
    pytest.param({"gradient_accumulation_steps": 3, "dropout": 0.3}, id="accumulation"),
    pytest.param({"embedding_size": 0, "bias": False}, id="one-hot"),
    pytest.param({"seq_length": 64, "batch_size": 8}, id="epoch-edge"),  # shrunk: 6 steps long
    pytest.param({"seq_length": 64, "batch_size": 8, "ngram": 3}, id="epoch-edge-ngram"),
    pytest.param({"patience": 9, "lr_final": 0.5, "weight_decay": 0.2}, id="schedule"),
]


class Killed(BaseException):
    """Ends training as a kill does: nothing more is saved."""


def killer(after: int) -> Any:
    def on_event(event: Event) -> None:
        if event.step >= after and isinstance(event, Step):
            raise Killed

    return on_event


@pytest.mark.parametrize("options", VARIANTS)
def test_resume_matches_an_uninterrupted_run(
    options: dict[str, Any], corpus: Path, tmp_path: Path
) -> None:
    settings = {"max_steps": 14, "save_every": 7, "eval_every": 5, **options}
    whole = train_tiny(corpus, tmp_path / "whole", **settings)
    with pytest.raises(Killed):
        train_tiny(corpus, tmp_path / "killed", on_event=killer(10), **settings)
    assert RunFolder(tmp_path / "killed" / "run").last_step() == 7
    again = train_tiny(corpus, tmp_path / "killed", resume=True, **settings)
    assert last_state(again.path) == last_state(whole.path)
    assert (again.path / "model.safetensors").read_bytes() == (
        whole.path / "model.safetensors"
    ).read_bytes()
    assert again.bits_per_char == whole.bits_per_char


SCRIPT = """
import os, signal, sys
import chargen
from chargen.training.events import Step

def on_event(event):
    if isinstance(event, Step) and event.step >= 10:
        os.kill(os.getpid(), signal.SIGKILL)

chargen.train(sys.argv[1], preset="tiny", name="run", runs_dir=sys.argv[2], max_steps=24,
              save_every=7, dropout=0.2, device="cpu", on_event=on_event)
"""


def test_resume_after_a_real_kill(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    with start_script(SCRIPT, corpus, out) as process:
        assert process.wait(120) == -signal.SIGKILL
    again = train_tiny(corpus, out, resume=True, max_steps=24)
    whole = train_tiny(corpus, tmp_path, max_steps=24, save_every=7, dropout=0.2)
    assert last_state(again.path) == last_state(whole.path)


def test_a_run_killed_before_its_first_checkpoint_starts(corpus: Path, tmp_path: Path) -> None:
    whole = train_tiny(corpus, tmp_path / "whole")
    run = train_tiny(corpus, tmp_path / "new", max_steps=1).path
    shutil.rmtree(run / "last")
    (run / "model.safetensors").unlink()
    (run / "metrics.jsonl").unlink()
    again = train_tiny(None, tmp_path / "new", resume=True, max_steps=20)
    assert last_state(again.path) == last_state(whole.path)


def test_a_run_with_weights_alone_keeps_them(run: Path, corpus: Path) -> None:
    shutil.rmtree(run / "last")
    before = files_in(run)
    with pytest.raises(CheckpointError, match="has weights but nothing to resume from") as error:
        train_tiny(corpus, run.parent, resume=True, max_steps=50)
    assert "`init_from`" in error.value.remedy
    assert files_in(run) == before


def test_resume_of_a_name_that_is_not_there_starts_it(corpus: Path, tmp_path: Path) -> None:
    assert train_tiny(corpus, tmp_path, resume=True).steps == 20


def test_resume_of_nothing_is_an_error(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run in"):
        chargen.train(corpus, resume=True, runs_dir=tmp_path)


def test_resume_without_a_name_takes_the_newest(run: Path, corpus: Path) -> None:
    assert chargen.train(resume=True, runs_dir=run.parent).path == run


def test_a_run_is_not_confused_with_a_folder_here(run: Path, corpus: Path, here: Path) -> None:
    (here / "run").mkdir()
    assert train_tiny(corpus, run.parent, resume=True, max_steps=40).path == run


def test_a_finished_run_goes_on_with_more_steps(run: Path, corpus: Path) -> None:
    events: list[Event] = []
    again = train_tiny(corpus, run.parent, resume=True, max_steps=50, on_event=events.append)
    assert (again.steps, again.reason) == (50, "done")
    assert isinstance(events[0], Started)
    assert events[0].step == 40
    assert RunFolder(run).read_config().total_steps == 50


def test_a_finished_run_with_the_same_steps_stays_as_it_is(run: Path, corpus: Path) -> None:
    before, weights = last_state(run), (run / "model.safetensors").read_bytes()
    again = train_tiny(corpus, run.parent, resume=True, max_steps=40)
    assert (again.steps, again.reason) == (40, "done")
    assert again.bits_per_char is not None
    assert last_state(run) == before
    assert (run / "model.safetensors").read_bytes() == weights


def test_metrics_newer_than_the_checkpoint_are_dropped(corpus: Path, tmp_path: Path) -> None:
    settings = {"max_steps": 24, "save_every": 7, "eval_every": 3}
    with pytest.raises(Killed):
        train_tiny(corpus, tmp_path, on_event=killer(10), **settings)
    path = tmp_path / "run" / "metrics.jsonl"
    assert max(line["step"] for line in metrics(path.parent)) == 10
    with path.open("ab") as file:
        file.write('{"event": "sample", "step": 3, "text": "半'.encode()[:-1])  # torn inside 半
    train_tiny(corpus, tmp_path, resume=True, **settings)
    lines = metrics(path.parent)
    assert [e["step"] for e in lines if e["event"] == "evaluation"] == [3, 6, 9, 12, 15, 18, 21, 24]
    assert [e["step"] for e in lines if e["event"] == "step"] == [1, 10, 20, 24]
    assert [e["step"] for e in lines if e["event"] == "started"] == [0, 7]


def test_a_damaged_metrics_file_is_told(run: Path, corpus: Path) -> None:
    path = run / "metrics.jsonl"
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    before = files_in(run)
    with pytest.raises(CheckpointError, match="line 1"):
        train_tiny(corpus, run.parent, resume=True, max_steps=50)
    assert files_in(run) == before


@pytest.mark.parametrize(
    "options",
    [{"hidden_size": 9}, {"lr": 0.5}, {"seed": 3}, {"preset": "large"}, {"dropout": 0.5}],
    ids=str,
)
def test_what_a_resumed_run_cannot_change_is_an_error(
    options: dict[str, Any], run: Path, corpus: Path
) -> None:
    before = files_in(run)
    with pytest.raises(ConfigError, match="but the run was begun with"):
        train_tiny(corpus, run.parent, resume=True, **options)
    assert files_in(run) == before


def test_all_that_cannot_change_is_told_at_once(run: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        train_tiny(corpus, run.parent, resume=True, hidden_size=9, lr=0.5, batch_size=77)
    assert all(name in caught.value.message for name in ("`hidden_size`", "`lr`", "`batch_size`"))


def test_values_that_no_run_can_have_are_told_at_once(run: Path, corpus: Path) -> None:
    before = files_in(run)
    with pytest.raises(ConfigError) as caught:
        train_tiny(
            corpus,
            run.parent,
            resume=True,
            **{"hidden_size": None, "lr": -1, "threads": -1, "val_frac": 3},
        )
    for name in ("`hidden_size` is None", "`lr` is -1", "`threads` is -1", "`val_frac` is 3"):
        assert name in caught.value.message
    assert files_in(run) == before


def test_the_threads_that_torch_chooses_are_recorded(run: Path, corpus: Path) -> None:
    train_tiny(corpus, run.parent, resume=True, max_steps=41, threads=torch.get_num_threads() + 1)
    train_tiny(corpus, run.parent, resume=True, max_steps=42, threads=0)
    assert RunFolder(run).read_config().training.threads == torch.get_num_threads()


def test_what_may_change_is_said_by_the_fields() -> None:
    assert {"max_steps", "epochs", "max_minutes", "threads", "precision"} <= MAY_CHANGE
    assert not MAY_CHANGE & {"lr", "hidden_size", "seed", "batch_size", "optimizer"}


def test_a_resumed_run_trains_by_its_own_recipe(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Recipe(adamw_betas=(0.5, 0.9), lr_hold=0.1, shifted_passes=False)
    monkeypatch.setattr(planning, "Recipe", lambda: other)
    options = {"max_steps": 24, "seq_length": 64, "batch_size": 8}  # 4 passes
    whole = train_tiny(corpus, tmp_path / "whole", **options)
    with pytest.raises(Killed):
        train_tiny(corpus, tmp_path / "killed", save_every=7, on_event=killer(10), **options)
    monkeypatch.undo()
    again = train_tiny(None, tmp_path / "killed", resume=True, max_steps=24)
    assert last_state(again.path) == last_state(whole.path)


def test_patience_needs_validation_in_a_resumed_run_too(here: Path) -> None:
    text = here / "text.txt"
    text.write_text("abcd" * 300, encoding="utf-8")
    without = {"val_frac": 0.0}
    train_tiny(text, here, **without)
    with pytest.raises(ConfigError, match="patience"):
        train_tiny(text, here, resume=True, patience=1, max_steps=30, **without)


def test_init_from_contradicts_resume(run: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="contradict"):
        train_tiny(corpus, run.parent, resume=True, init_from=run)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_leaves_the_run_alone(run: Path, corpus: Path) -> None:
    before = files_in(run)
    with pytest.raises(ConfigError, match="no CUDA device"):
        train_tiny(corpus, run.parent, resume=True, max_steps=50, device="cuda")
    assert files_in(run) == before


@pytest.fixture
def text_run(here: Path) -> Path:
    """A run on the text ``story.txt`` in the current folder."""
    (here / "story.txt").write_text("one two three\nfour five\n" * 50, encoding="utf-8")
    return train_tiny("story.txt", here / "checkpoints", max_steps=5).path


def test_a_changed_corpus_is_named_and_nothing_is_prepared(text_run: Path, here: Path) -> None:
    before = files_in(here)
    with Path("story.txt").open("a") as file:
        file.write("another line\n")
    before["story.txt"] = Path("story.txt").read_bytes()
    with pytest.raises(CheckpointError, match=r"changed since .*: story\.txt differs"):
        train_tiny("story.txt", here / "checkpoints", resume=True, max_steps=9)
    assert files_in(here) == before


def test_another_text_is_named_beside_that_of_the_run(text_run: Path, here: Path) -> None:
    before = files_in(here)
    Path("other.txt").write_text("something else entirely\n" * 50, encoding="utf-8")
    with pytest.raises(CheckpointError) as error:
        train_tiny("other.txt", here / "checkpoints", resume=True, max_steps=9)
    assert error.value.message == "run was trained on story.txt, not on other.txt."
    assert "Leave the text out" in error.value.remedy
    Path("other.txt").unlink()
    assert files_in(here) == before


def test_changed_settings_are_named_and_nothing_is_prepared(text_run: Path, here: Path) -> None:
    before = files_in(here)
    for corpus in ("story.txt", None):
        with pytest.raises(CheckpointError, match=r"was trained with `val_frac` 0\.1, not 0\.5"):
            train_tiny(
                corpus,
                here / "checkpoints",
                resume=True,
                val_frac=0.5,
            )
    assert files_in(here) == before


def test_a_prepared_corpus_that_was_made_anew_is_told(text_run: Path, here: Path) -> None:
    Path("other.txt").write_text("something else entirely\n" * 50, encoding="utf-8")
    (made,) = Path("corpora").iterdir()
    chargen.prepare("other.txt", made, force=True)
    with pytest.raises(CheckpointError, match="The corpus has changed"):
        train_tiny(None, here / "checkpoints", resume=True, max_steps=9)


def test_a_lost_corpus_is_told_and_made_again_from_its_text(text_run: Path, here: Path) -> None:
    shutil.rmtree("corpora")
    with pytest.raises(CorpusError, match="gone or damaged"):
        train_tiny(None, here / "checkpoints", resume=True, max_steps=9)
    assert train_tiny("story.txt", here / "checkpoints", resume=True, max_steps=9).steps == 9


def test_settings_of_the_run_hold_where_none_are_given(here: Path) -> None:
    Path("story.txt").write_text("one two three\nfour five\n" * 50, encoding="utf-8")
    train_tiny("story.txt", here / "checkpoints", val_frac=0, vocab_size=8, max_steps=5)
    shutil.rmtree("corpora")
    assert train_tiny("story.txt", here / "checkpoints", resume=True, max_steps=9).steps == 9


def test_a_checkpoint_is_saved_before_the_first_step(corpus: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    train_tiny(corpus, tmp_path, on_event=events.append, max_steps=1)
    assert isinstance(events[1], Checkpoint)
    assert events[1].step == 0


def test_a_carried_state_of_another_shape_is_told(run: Path, corpus: Path) -> None:
    folder = RunFolder(run)
    saved = folder.load_last()
    assert saved is not None
    saved[0]["carried.0.0"] = saved[0]["carried.0.0"][:1]
    folder.save_last(folder.last_step() + 1, *saved)
    with pytest.raises(CheckpointError, match=r"carried\.0\.0 is \(1, 32\)"):
        train_tiny(corpus, run.parent, resume=True, max_steps=50)


@pytest.mark.parametrize("name", ["step", "lr_scale", "best_bits"])
def test_missing_values_are_told(name: str, run: Path, corpus: Path) -> None:
    (path,) = run.glob("last/*/state.json")
    values = json.loads(path.read_bytes())
    del values[name]
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"damaged: {name}"):
        train_tiny(corpus, run.parent, resume=True, max_steps=50)


def test_a_carried_state_lies_in_memory_of_its_own(run: Path) -> None:
    folder = RunFolder(run)
    saved = folder.load_last()
    assert saved is not None
    state = TrainingState(folder.read_config(), torch.device("cpu"))
    state.restore(*saved)
    assert state.carried
    for n, tensor in enumerate(state.carried[0]):
        assert torch.equal(tensor, saved[0][f"carried.0.{n}"])
        assert tensor.data_ptr() != saved[0][f"carried.0.{n}"].data_ptr()
