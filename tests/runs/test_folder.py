from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from chargen.corpus.prepared import PreparedCorpus
from chargen.files import UNFINISHED
from chargen.runs import folder as checkpoint
from chargen.runs.folder import (
    CheckpointError,
    RunFolder,
    digest,
    find_run,
    read_tensors,
    runs,
    write_tensors,
)
from tests.support import files_in, last_state, train_tiny
from tests.test_files import failing_at


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_bytes())
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def the_error(run: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        RunFolder(run).load_model()
    assert "\n" not in caught.value.message
    assert caught.value.remedy
    assert "\n" not in caught.value.remedy
    return caught.value


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(3, 4).T,  # not contiguous
        "b": torch.arange(3, dtype=torch.int64),
        "c": torch.tensor(float("nan")),
        "d": torch.tensor([1, 2], dtype=torch.uint8),
    }
    write_tensors(tmp_path / "file", tensors, step=7, bits=1.5)
    found, facts = read_tensors(tmp_path / "file")
    assert {n: (t.dtype, t.shape) for n, t in found.items()} == {
        n: (t.dtype, t.shape) for n, t in tensors.items()
    }
    assert digest(found) == digest(tensors)
    assert (facts["step"], facts["bits"]) == (7, 1.5)


def test_a_digest_tells_names_shapes_and_numbers_apart() -> None:
    tensors = {"a": torch.zeros(2, 3), "b": torch.ones(2)}
    others = [
        {"a": torch.zeros(3, 2), "b": torch.ones(2)},
        {"c": torch.zeros(2, 3), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3), "b": torch.ones(2) + 1e-7},
    ]
    assert len({digest(each) for each in [tensors, *others]}) == 5
    assert digest(dict(reversed(tensors.items()))) == digest(tensors)


def test_a_run_comes_back_as_it_was(trained: Path) -> None:
    folder = RunFolder(trained)
    loaded = folder.load_model()
    assert loaded.path == trained
    assert loaded.config.model.vocab_size == loaded.tokenizer.size
    assert digest(loaded.model.state_dict()) == loaded.weights_sha256
    assert folder.verify() == []
    config = folder.read_config()
    folder_again = RunFolder(trained)
    assert folder_again.read_config() == config
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict())), trained) == config


def test_three_files_are_enough_to_sample(trained: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.model", "model.safetensors"):
        shutil.copy(trained / name, tmp_path)
    loaded = RunFolder(tmp_path).load_model()
    assert loaded.weights_sha256 == RunFolder(trained).load_model().weights_sha256


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1])
def test_truncated_weights_are_told(run: Path, keep: float) -> None:
    path = run / "model.safetensors"
    content = path.read_bytes()
    size = int(keep * len(content)) if isinstance(keep, float) else keep
    path.write_bytes(content[:size])
    assert str(path) in the_error(run).message


def test_changed_weights_are_told(run: Path) -> None:
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert "digest differs" in the_error(run).message


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    write_tensors(path, tensors, step=1)


def test_a_missing_tensor_is_named(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda tensors: tensors.pop("table"))
    assert "table is missing" in the_error(run).message


def test_a_misshapen_tensor_is_named(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda t: t.update(table=t["table"][:, :-1].clone()))
    message = the_error(run).message
    assert "table is (" in message
    assert ", not (" in message


def test_a_foreign_tensor_is_named(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda t: t.update(other=torch.ones(2)))
    assert "other is not of this model" in the_error(run).message


def test_many_problems_stay_one_line(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda tensors: tensors.clear())
    assert len(the_error(run).message) < 500


def test_another_programs_tensors_are_told(run: Path) -> None:
    save_file({"weight": torch.ones(2)}, run / "model.safetensors")
    the_error(run)


def test_weights_of_another_shape_of_model_are_told(run: Path) -> None:
    change_json(run / "config.json", lambda c: c["model"].update(hidden_size=16))
    assert "doesn't fit" in the_error(run).message


def test_another_format_version_is_told(run: Path) -> None:
    change_json(run / "config.json", lambda c: c.update(version=99))
    assert "format version 99" in the_error(run).message


def test_a_run_outlives_the_default_of_an_option_that_its_cell_has_not(run: Path) -> None:
    before = RunFolder(run).read_config()
    change_json(run / "config.json", lambda c: c["model"].update(modules=33, dt=0.25))
    assert RunFolder(run).read_config() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b'{"format": "other"}', b"\xff\xfe", b"null"],
    ids=["empty", "torn", "list", "number", "other", "bytes", "null"],
)
def test_a_config_of_something_else_is_told(run: Path, content: bytes) -> None:
    (run / "config.json").write_bytes(content)
    assert "config.json" in the_error(run).message


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("hidden_size", lambda c: c["model"].update(hidden_size="wide")),
        ("hidden_size", lambda c: c["model"].update(hidden_size=1.5)),
        ("hidden_size", lambda c: c["model"].update(hidden_size=-4)),
        ("hidden_sise", lambda c: c["model"].update(hidden_sise=4)),
        ("cell", lambda c: c["model"].update(cell="nonsense")),
        ("batch_size", lambda c: c["training"].update(batch_size=None)),
        ("model", lambda c: c.pop("model")),
        ("corpus", lambda c: c.update(corpus=3)),
        ("sources", lambda c: c["corpus"].pop("sources")),
        ("tokenizer_sha256", lambda c: c.pop("tokenizer_sha256")),
    ],
)
def test_a_damaged_config_names_the_part(
    run: Path, part: str, change: Callable[[dict[str, Any]], object]
) -> None:
    change_json(run / "config.json", change)
    message = the_error(run).message
    assert part in message
    assert "damaged" in message


@pytest.mark.parametrize("damage", ["missing", "torn", "another"])
def test_a_wrong_tokenizer_is_told(run: Path, damage: str) -> None:
    from chargen.corpus.tokenizer import Tokenizer

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


def test_no_pickle_is_ever_read(run: Path) -> None:
    torch.save({"table": torch.ones(2)}, run / "model.safetensors")
    the_error(run)


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


def test_the_newest_whole_checkpoint_counts(run: Path) -> None:
    folder = RunFolder(run)
    before = last_state(run)
    shutil.copytree(run / "last" / str(folder.last_step()), run / "last" / "9999")
    state = run / "last" / "9999" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-10])
    assert last_state(run) == before


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
        RunFolder.create(run, loaded.config, loaded.tokenizer)
    assert files_in(run) == before


HOLD = """
import sys, time
from pathlib import Path
from chargen.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_writer_at_a_time(run: Path, corpus: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, run], stdout=subprocess.PIPE) as other:
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


def test_runs_are_listed_newest_first(run: Path) -> None:
    older = shutil.copytree(run, run.parent / "older")
    shutil.copytree(run, run.parent / f"{UNFINISHED}abc")
    (run.parent / "no-run").mkdir()
    for path in older.iterdir():
        os.utime(path, (1, 1))
    assert runs(run.parent) == [run, older]
    assert runs(run.parent / "nowhere") == []


def test_a_run_is_found_by_path_by_name_or_as_the_newest(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run.parent
    assert find_run(None, out) == find_run("run", out) == find_run(str(run), out) == run
    # A folder of the same name here is no run, and so not meant.
    (out.parent / "run").mkdir()
    monkeypatch.chdir(out.parent)
    assert find_run("run", out) == run


KILLED = """
import os, shutil, sys
from pathlib import Path
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
    code = [sys.executable, "-c", KILLED, run]
    done = subprocess.run(code, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 12  # so many instants were tried


@pytest.mark.parametrize("name", ["nope", "a" * 3000, "null\0byte", ""])
def test_a_run_that_is_not_there_is_told(run: Path, name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        RunFolder(find_run(name, run.parent)).load_model()
    assert caught.value.remedy


def test_an_unknown_name_lists_the_known_ones(run: Path) -> None:
    with pytest.raises(CheckpointError, match="no run 'rnu'") as caught:
        find_run("rnu", run.parent)
    assert "run" in caught.value.remedy


def test_no_run_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run in"):
        find_run(None, tmp_path)


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="is a file"):
        find_run(str(tmp_path / "file"), tmp_path)


@pytest.mark.parametrize("content", [b"{}", b'{"step": "7"}', b"[]", b"null"])
def test_values_without_a_step_are_told(content: bytes, run: Path) -> None:
    (run / "model.safetensors").unlink()
    (values,) = run.glob("last/*/state.json")
    values.write_bytes(content)
    message = the_error(run).message
    assert str(values) in message
    assert RunFolder(run).verify() == [message]


def test_weights_are_hashed_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(checkpoint, "digest", lambda t: (seen.append(len(t)), digest(t))[1])
    loaded = RunFolder(run).load_model()
    assert len(seen) == 1
    assert loaded.weights_sha256 == digest(loaded.model.state_dict())
    (run / "model.safetensors").unlink()
    last = RunFolder(run).load_model()
    assert last.weights_sha256 == digest(last.model.state_dict())


def test_a_record_knows_its_corpus(trained: Path, corpus: Path) -> None:
    record = RunFolder(trained).read_config().corpus
    manifest = PreparedCorpus.open(corpus).manifest
    assert record.is_of(manifest)
    assert not record.is_of(replace(manifest, files={**manifest.files, "val.bin": "0"}))
