from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chargen import files
from chargen.files import (
    UNFINISHED,
    new_folder,
    open_regular,
    read_json,
    sha256_of,
    sweep,
    unfinished_name,
    write_bytes,
    write_json,
)
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


posix = pytest.mark.skipif(os.name == "nt", reason="links, pipes and devices of POSIX")


@posix
def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target, link, again = tmp_path / "deep/target", tmp_path / "link", tmp_path / "again"
    link.symlink_to("deep/target")
    again.symlink_to("link")
    for content in (b"first", b"second"):  # the link leads nowhere at first
        write_bytes(again, content)
        assert target.read_bytes() == content
    assert link.is_symlink()
    assert again.is_symlink()
    assert [path.name for path in target.parent.iterdir()] == ["target"]


@posix
def test_a_link_that_leads_to_itself_is_an_error_that_names_it(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(OSError, match="symbolic links") as error:
        write_bytes(link, b"content")
    assert error.value.filename == str(link)


@posix
def test_a_pipe_is_written_to_in_place(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with ThreadPoolExecutor() as pool:
            read = pool.submit(pipe.read_bytes)
            write_bytes(path, b"content" * 20_000)
            assert read.result(20) == b"content" * 20_000
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


@posix
def test_a_device_stays_a_device() -> None:
    null = Path(os.devnull)
    before = null.lstat()
    assert stat.S_ISCHR(before.st_mode)
    write_bytes(null, b"content")
    write_json(null, {})
    after = null.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout")
def test_standard_output_that_is_a_file_is_written_to_in_place(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from chargen.files import write_bytes\n"
        "print('before', flush=True); write_bytes(Path('/dev/stdout'), b'content\\n')\n"
        "print('after')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\ncontent\nafter\n"


def test_errors_name_the_target(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder", "nowhere/file", "x" * 300):
        with pytest.raises(OSError, match=r"\[Errno") as error:
            write_bytes(tmp_path / name, b"content")
        assert (error.value.filename, error.value.filename2) == (str(tmp_path / name), None)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_temporary_folder_tells_what_it_is_for(tmp_path: Path) -> None:
    for name in ("名字", "x" * 250):
        with new_folder(tmp_path / name) as folder:
            assert folder.name.startswith(unfinished_name(tmp_path / name) + "-")
            assert name[:100] in folder.name
            assert len(os.fsencode(folder.name)) <= 255


@posix
def test_only_plain_files_are_opened_for_reading(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "link", "pipe", os.devnull):
        with pytest.raises(OSError, match=r"plain file|Is a directory"):
            open_regular(tmp_path / name)
    with open_regular(tmp_path / "link", links=True) as file:
        assert file.read() == b"content"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[" * 100_000, "nested"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (rb'["\udc00"]', "lone surrogate"),
        (b"[1, 2", "Expecting"),
        (b"\xff", "utf-8"),
        (b" " * 200_001, "longer than 200,000 bytes"),
        (b"9" * 5000, "digits"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_json_from_elsewhere_is_bounded(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        read_json(tmp_path / "file", 200_000)
    (tmp_path / "file").write_bytes(rb'{"a": ["\ud83d\ude00", 1e3]}')
    assert read_json(tmp_path / "file", 200_000) == {"a": ["😀", 1000.0]}
