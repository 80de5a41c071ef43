"""Files of a run that are none: special files, links, and JSON beyond all measure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from chargen.errors import CheckpointError
from chargen.runs.folder import RunFolder
from chargen.runs.layout import WRITTEN
from chargen.runs.metrics import read_metrics
from chargen.runs.reading import damaged, parse, read_file

FILES = [
    "config.json",
    "tokenizer.model",
    "model.safetensors",
    "places.json",
    "metrics.jsonl",
    "last/40/state.safetensors",
    "last/40/state.json",
]
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX system")


def every_problem(run: Path) -> list[str]:
    """All that a run's files are found to have, as one reads it."""
    found = RunFolder(run).verify()
    try:
        read_metrics(run)
    except CheckpointError as error:
        found.append(error.message)
    return found


@posix
@pytest.mark.parametrize("name", WRITTEN)
def test_a_run_is_not_written_through_a_link_nor_into_a_pipe(name: str, run: Path) -> None:
    for make in (lambda path: path.symlink_to("tokenizer.model"), os.mkfifo):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        make(path)
        with pytest.raises(CheckpointError, match=r"is a link|not a regular file"):
            RunFolder(run).lock().__enter__()


@pytest.mark.parametrize("name", FILES)
def test_a_fifo_is_told_and_does_not_hang(name: str, run: Path) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    (problem,) = every_problem(run)
    assert f"{name} is not a regular file" in problem


@posix
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("outside", ["/dev/zero", "elsewhere"])
def test_a_link_out_of_the_run_is_not_followed(name: str, outside: str, run: Path) -> None:
    target = run.parent / "elsewhere"
    (run / name).rename(target)
    (run / name).symlink_to("/dev/zero" if outside == "/dev/zero" else target)
    (problem,) = every_problem(run)
    assert f"{name} is a link to something outside the run" in problem


@posix
@pytest.mark.parametrize("name", FILES)
def test_a_link_inside_the_run_is_followed(name: str, run: Path) -> None:
    (run / name).rename(run / "moved")
    (run / name).symlink_to(run / "moved")
    assert every_problem(run) == []


@posix
@pytest.mark.parametrize("name", FILES)
def test_a_loop_of_links_is_told(name: str, run: Path) -> None:
    (run / name).unlink()
    (run / name).symlink_to(name.rpartition("/")[2])
    (problem,) = every_problem(run)
    assert "can't be read" in problem


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file_is_told(name: str, run: Path) -> None:
    (run / name).unlink()
    (run / name).mkdir()
    (problem,) = every_problem(run)
    assert f"{name} is not a regular file" in problem


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_not_be_read_is_not_called_missing(name: str, run: Path) -> None:
    (run / name).chmod(0)
    (problem,) = every_problem(run)
    assert "can't be read: Permission denied" in problem


def test_missing_files_are_called_missing(run: Path) -> None:
    (run / "tokenizer.model").unlink()
    (run / "last" / "40" / "state.json").unlink()
    assert [problem.rpartition("/")[2] for problem in every_problem(run)] == [
        "tokenizer.model is missing.",
        "state.json is missing.",
    ]


@pytest.mark.parametrize("name", ["config.json", "places.json", "last/40/state.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 30 + b"]" * 30,
        b'{"step": NaN}',
        b'{"step": 1e999}',
        b'{"step": 1' + b"0" * 5000 + b"}",
        b'{"step": 99999999999999999999}',
        b"\xff\xfe{\0}\0",
        b'{"step"',
        b" " * ((16 << 20) + 1),
    ],
    ids=lambda content: content[:30].decode("ascii", "replace"),
)
def test_json_beyond_its_limits_is_damage(name: str, content: bytes, run: Path) -> None:
    (run / name).write_bytes(content)
    problems = every_problem(run)
    assert problems
    assert all(f"{name} is damaged" in problem and len(problem) < 500 for problem in problems)


def test_a_limit_is_that_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path, "file", 5) == b"12345"
    with pytest.raises(CheckpointError, match="more than 4 bytes"):
        read_file(tmp_path, "file", 4)


def test_numbers_and_depths_within_the_limits_are_values() -> None:
    for text in ("-9223372036854775808", "9223372036854775807", "1e308", "[[[[1]]]]", '"\\ud800"'):
        parse(text.encode(), Path("file"))


def test_damage_is_one_short_line() -> None:
    error = damaged(Path("file"), "a\nb\x1b[31m" + "c" * 10_000)
    assert error.message.startswith(r"file is damaged: a\nb\x1b[31mccc")
    assert len(error.message) < 300
