from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chargen import files
from chargen.files import UNFINISHED, new_folder, sha256_of, sweep, write_bytes, write_json
from tests.support import files_in


class PulledPlug(BaseException):
    """What a kill is to a test: nothing may catch it and go on."""


def failing_at(
    monkeypatch: pytest.MonkeyPatch, call: int, error: type[BaseException]
) -> Callable[[], int]:
    """Make the n-th call that changes the disk fail; returns how many there have been."""
    count = 0

    def watch(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == call:
                raise error(5, "Input/output error")
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, wrapped)

    for owner, name in (
        (os, "fsync"),
        (os, "replace"),
        (os, "rename"),
        (files.tempfile, "mkdtemp"),
        (files.tempfile, "mkstemp"),
    ):
        watch(owner, name)
    return lambda: count


@pytest.mark.parametrize("error", [OSError, PulledPlug])
@pytest.mark.parametrize("call", range(1, 8))
def test_a_file_is_old_or_new_whatever_fails(
    call: int, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        made = failing_at(patch, call, error)
        try:
            write_bytes(path, b"new")
        except error:
            assert made() >= call
        else:
            assert made() < call
    assert path.read_bytes() in (b"old", b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError, PulledPlug])
@pytest.mark.parametrize("call", range(1, 12))
def test_a_folder_is_old_or_new_whatever_fails(
    call: int, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "deep" / "folder"
    out.mkdir(parents=True)
    (out / "a").write_bytes(b"old")
    with monkeypatch.context() as patch:
        made = failing_at(patch, call, error)
        try:
            with new_folder(out) as folder:
                (folder / "a").write_bytes(b"new")
                (folder / "b").write_bytes(b"new")
        except error:
            assert made() >= call
        else:
            assert made() < call
    assert files_in(out) in ({"a": b"old"}, {"a": b"new", "b": b"new"})


def test_a_failed_block_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "not" / "there" / "yet") as folder:
            (folder / "file").write_bytes(b"content")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_makes_its_parents(tmp_path: Path) -> None:
    with new_folder(tmp_path / "not" / "there") as folder:
        (folder / "file").write_bytes(b"content")
    assert files_in(tmp_path) == {"not/there/file": b"content"}


def test_a_folder_that_may_not_be_replaced_is_not(tmp_path: Path) -> None:
    out = tmp_path / "folder"
    out.mkdir()
    (out / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError), new_folder(out, replace=False) as folder:
        (folder / "a").write_bytes(b"new")
    assert files_in(tmp_path) == {"folder/a": b"old"}


def test_an_empty_folder_may_always_be_filled(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with new_folder(tmp_path / "folder", replace=False) as folder:
        (folder / "a").write_bytes(b"new")
    assert files_in(tmp_path) == {"folder/a": b"new"}


def test_sweep_removes_what_a_kill_left(tmp_path: Path) -> None:
    (tmp_path / f"{UNFINISHED}abc").mkdir()
    (tmp_path / f"{UNFINISHED}abc" / "file").write_bytes(b"1")
    (tmp_path / f"{UNFINISHED}def").write_bytes(b"2")
    (tmp_path / "kept").write_bytes(b"3")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_modes_are_those_of_ordinary_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file", b"content")
        with new_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_json_is_readable_and_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"字": [1, None]})
    assert "字" in (tmp_path / "file").read_text("utf-8")
    assert json.loads((tmp_path / "file").read_bytes()) == {"字": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file", float("nan"))


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_of(tmp_path / "empty") == digest
