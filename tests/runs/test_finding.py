from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from chargen.errors import CheckpointError, ConfigError
from chargen.files import UNFINISHED
from chargen.runs.finding import check_name, distinct_names, find_run, runs_folder, runs_in
from chargen.runs.folder import RunFolder


def test_runs_are_listed_newest_first(run: Path) -> None:
    older = shutil.copytree(run, run.parent / "older")
    shutil.copytree(run, run.parent / f"{UNFINISHED}abc")
    shutil.copytree(run, run.parent / ".hidden")
    (run.parent / "no-run").mkdir()
    for path in older.iterdir():
        os.utime(path, (1, 1))
    assert runs_in(run.parent) == [run, older]
    assert runs_in(run.parent / "nowhere") == []


def test_a_run_is_found_by_path_by_name_or_as_the_newest(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run.parent
    assert find_run(None, out) == find_run("run", out) == find_run(str(run), out) == run
    # A folder of the same name here is no run, and so not meant.
    (out.parent / "run").mkdir()
    monkeypatch.chdir(out.parent)
    assert find_run("run", out) == run


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


def test_the_folder_of_the_runs_is_given_or_in_the_environment_or_checkpoints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHARGEN_RUNS", raising=False)
    assert runs_folder() == Path("checkpoints")
    monkeypatch.setenv("CHARGEN_RUNS", "elsewhere")
    assert runs_folder() == Path("elsewhere")
    assert runs_folder("here") == runs_folder(Path("here")) == Path("here")


def test_a_run_that_was_never_trained_is_not_the_newest(run: Path) -> None:
    started = shutil.copytree(run, run.parent / "started")
    saved = RunFolder(started).load_last()
    assert saved is not None
    shutil.rmtree(started / "last")
    RunFolder(started).save_last(0, {}, {**saved[1], "step": 0})
    os.utime(started / "config.json", (2e9, 2e9))
    assert runs_in(run.parent) == [started, run]  # its metrics have steps
    (started / "metrics.jsonl").write_bytes(b"")
    assert runs_in(run.parent) == [run, started]
    shutil.rmtree(started / "last")  # what is left is all that sampling needs
    assert runs_in(run.parent) == [started, run]


def test_a_hidden_run_is_found_by_its_path_alone(run: Path) -> None:
    hidden = shutil.copytree(run, run.parent / ".hidden")
    assert find_run(str(hidden), run.parent) == hidden
    with pytest.raises(CheckpointError, match=r"no run '\.hidden'"):
        find_run(".hidden", run.parent)


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a\\b", "a\0"])
def test_names_that_can_not_be(name: str) -> None:
    with pytest.raises(ConfigError):
        check_name(name)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_utf8_is_shown_with_escapes(run: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(run.parent) + b"/caf\xe9"))
    shutil.copytree(run, odd)
    assert distinct_names([odd, run]) == [r"caf\udce9", "run"]
    (odd / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        RunFolder(odd).load_model()
    assert r"caf\udce9/model.safetensors" in caught.value.message
    with pytest.raises(CheckpointError) as caught:
        find_run("nope", run.parent)
    assert r"caf\udce9" in str(caught.value).encode().decode()
