from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CheckpointError
from chargen.files import UNFINISHED
from chargen.runs.content import Content
from chargen.runs.folder import RunFolder
from chargen.runs.places import Places
from chargen.runs.tensors import digest
from tests.processes import PIPE, start_script
from tests.runs.damage import change_json, the_error
from tests.support import files_in, train_tiny
from tests.test_files import failing_at


def test_a_run_comes_back_as_it_was(trained: Path) -> None:
    folder = RunFolder(trained)
    loaded = folder.load_model()
    assert loaded.path == trained
    assert loaded.config.model.vocab_size == loaded.tokenizer.size
    assert digest(loaded.model.state_dict()) == loaded.weights_sha256
    assert folder.verify() == []
    assert folder.read_config() == loaded.config


def test_three_files_are_enough_to_sample(trained: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.model", "model.safetensors"):
        shutil.copy(trained / name, tmp_path)
    loaded = RunFolder(tmp_path).load_model()
    assert loaded.weights_sha256 == RunFolder(trained).load_model().weights_sha256


def test_weights_of_another_shape_of_model_are_told(run: Path) -> None:
    change_json(run / "config.json", lambda c: c["model"].update(hidden_size=16))
    assert "doesn't fit" in the_error(run).message


@pytest.mark.parametrize("damage", ["missing", "torn", "another"])
def test_a_wrong_tokenizer_is_told(run: Path, damage: str) -> None:
    path = run / "tokenizer.model"
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:20])
    else:
        path.write_bytes(Tokenizer.train({"a": 3, "b": 2}, 10, "unk").to_bytes())
    assert "tokenizer.model" in the_error(run).message


def test_a_folder_of_something_else_is_told(tmp_path: Path) -> None:
    assert "not a chargen run" in the_error(tmp_path).message


def test_a_tokenizer_of_another_size_is_told(run: Path) -> None:
    other = Tokenizer.train({"a": 3, "b": 2}, 10, "unk")
    (run / "tokenizer.model").write_bytes(other.to_bytes())
    change_json(run / "config.json", lambda c: c.update(tokenizer_sha256=other.sha256))
    assert "has 4 pieces, and the network has" in the_error(run).message


def test_a_run_without_weights_is_told(run: Path) -> None:
    (run / "model.safetensors").unlink()
    shutil.rmtree(run / "last")
    error = the_error(run)
    assert "model.safetensors is missing" in error.message
    assert "`resume=True`" in error.remedy


def test_without_a_best_model_the_last_one_serves(run: Path) -> None:
    (run / "model.safetensors").unlink()
    saved = RunFolder(run).load_last()
    assert saved is not None
    loaded = RunFolder(run).load_model()
    assert torch.equal(loaded.model.table, saved[0]["model.table"])


def test_verify_lists_what_is_wrong(run: Path) -> None:
    (run / "model.safetensors").write_bytes(b"")
    (place,) = (run / "last").iterdir()
    (place / "state.safetensors").write_bytes(b"")
    assert len(RunFolder(run).verify()) == 2


@pytest.mark.parametrize("call", range(1, 14))
def test_a_run_loads_whatever_fails_while_it_is_saved(
    call: int, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(run)
    saved = folder.load_last()
    assert saved is not None
    step = folder.last_step()
    model = folder.load_model().model
    with monkeypatch.context() as patch:
        made = failing_at(patch, call, OSError)
        try:
            folder.save_best(model, step + 5, 1.0)
            folder.save_last(step + 5, saved[0], {**saved[1], "step": step + 5})
        except OSError:
            assert made() >= call
        else:
            assert made() < call
    again = RunFolder(run)
    assert again.verify() == []
    found = again.load_last()
    assert found is not None
    assert found[1]["step"] in (step, step + 5)


def test_a_checkpoint_replaces_the_older_ones(run: Path) -> None:
    folder = RunFolder(run)
    saved = folder.load_last()
    assert saved is not None
    folder.save_last(9999, *saved)
    assert [path.name for path in (run / "last").iterdir()] == ["9999"]


def test_values_of_a_checkpoint_can_be_changed_in_place(run: Path) -> None:
    folder = RunFolder(run)
    saved = folder.load_last()
    assert saved is not None
    folder.change_last(folder.last_step(), {**saved[1], "lr_scale": 0.5})
    again = folder.load_last()
    assert again is not None
    assert again[1] == {**saved[1], "lr_scale": 0.5}


def test_a_new_run_never_replaces_one(run: Path, trained: Path) -> None:
    loaded = RunFolder(trained).load_model()
    before = files_in(run)
    with pytest.raises(CheckpointError, match="exists already"):
        RunFolder.create(run, Content(loaded.config, loaded.tokenizer))
    assert files_in(run) == before


def test_a_run_appears_with_its_first_checkpoint(trained: Path, tmp_path: Path) -> None:
    loaded, first = RunFolder(trained).load_model(), RunFolder(trained).load_last()
    assert first is not None
    content = Content(loaded.config, loaded.tokenizer, Places(tmp_path / "corpus"), first)
    made = RunFolder.create(tmp_path / "new", content)
    found = made.load_last()
    assert found is not None
    assert (digest(found[0]), found[1]) == (digest(first[0]), first[1])
    assert made.verify() == []
    assert made.read_places().corpus == (tmp_path / "corpus").resolve()


def test_a_run_without_a_name_takes_the_lowest_free_number(trained: Path, tmp_path: Path) -> None:
    loaded = RunFolder(trained).load_model()
    content = Content(loaded.config, loaded.tokenizer)
    (tmp_path / "new-2").mkdir()
    (tmp_path / "new-3").symlink_to("nowhere")
    made = [RunFolder.create_numbered(tmp_path, "new", content).path.name for _ in range(2)]
    assert made == ["new-1", "new-4"]
    odd = RunFolder.create_numbered(tmp_path, "..a\\b", content)
    assert odd.path.name == "a_b-1"


def test_a_number_that_another_process_takes_first_is_passed_over(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = RunFolder(trained).load_model()
    exists = Path.exists  # each process looks before the other makes its folder
    monkeypatch.setattr(Path, "exists", lambda p: not p.name.startswith("new-") and exists(p))
    made = [
        RunFolder.create_numbered(
            tmp_path, "new", Content(loaded.config, loaded.tokenizer)
        ).path.name
        for _ in range(3)
    ]
    assert made == ["new-1", "new-2", "new-3"]


HOLD = """
import sys, time
from pathlib import Path
from chargen.runs.content import Content
from chargen.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_writer_at_a_time(run: Path, corpus: Path) -> None:
    with start_script(HOLD, run, stdout=PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        before = files_in(run)
        with pytest.raises(CheckpointError, match="in use by another"):
            train_tiny(corpus, run.parent, resume=True, max_steps=99)
        assert files_in(run) == before
        RunFolder(run).load_model()  # reading is free
        other.kill()
        other.wait()
    with RunFolder(run).lock():  # the lock died with its process
        pass


def test_taking_the_lock_sweeps_up(run: Path) -> None:
    (run / f"{UNFINISHED}x").write_bytes(b"")
    (run / "last" / f"{UNFINISHED}y").mkdir()
    with RunFolder(run).lock():
        assert not [path for path in run.rglob("*") if path.name.startswith(UNFINISHED)]


@pytest.mark.parametrize("name", [".lock", "last"])
def test_a_run_is_not_written_through_links(name: str, run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "3").mkdir()
    (outside / "file").write_bytes(b"precious")
    if name == "last":
        shutil.rmtree(run / "last")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(outside if name == "last" else outside / "file")
    with pytest.raises(CheckpointError, match="is a link"), RunFolder(run).lock():
        pass
    assert (outside / "file").read_bytes() == b"precious"
    assert (outside / "3").is_dir()


KILLED = """
import os, shutil, sys
from pathlib import Path
from chargen.runs.content import Content
from chargen.runs.folder import RunFolder
run, fatal, calls = Path(sys.argv[1]), 0, 0

def watched(name):
    real = getattr(os, name)
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == fatal:
            os._exit(7)
        return real(*arguments, **options)
    setattr(os, name, call)

for name in ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "chmod"):
    watched(name)
original, outcome = RunFolder(run), None
(tensors, values), model = original.load_last(), original.load_model().model
number = 0
while outcome != 0:
    number += 1
    copy = shutil.copytree(run, run.parent / f"killed-{number}")
    child = os.fork()
    if child == 0:
        fatal, calls = number, 0
        folder = RunFolder(copy)
        with folder.lock():
            folder.save_best(model, 50, 1.0)
            folder.save_last(50, tensors, {**values, "step": 50})
            folder.write_config(folder.read_config())
        os._exit(0)
    outcome = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert outcome in (0, 7), outcome
    assert RunFolder(copy).verify() == [], number
    assert RunFolder(copy).load_last()[1]["step"] in (50, values["step"]), number
print(number)
"""


def test_a_kill_at_any_instant_of_saving_leaves_a_run_that_loads(run: Path) -> None:
    with start_script(KILLED, run, stdout=PIPE, stderr=PIPE, text=True) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert int(out) > 12  # so many instants were tried


def test_a_record_knows_its_corpus(trained: Path, corpus: Path) -> None:
    record = RunFolder(trained).read_config().corpus
    manifest = PreparedCorpus.open(corpus).manifest
    assert record.is_of(manifest)
    assert not record.is_of(replace(manifest, files={**manifest.files, "val.bin": "0"}))
