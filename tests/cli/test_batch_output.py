"""Where ``chargen batch`` writes: to standard output line by line, and to a file it can resume."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.processes import shell, start
from tests.support import call, files_in, the_error

JOBS = "春\n夜\n花\n"
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and files of POSIX")


@pytest.fixture
def jobs(here: Path) -> Path:
    (here / "jobs.txt").write_text(JOBS, "utf-8")
    return here / "jobs.txt"


def long_batch(jobs: Path, run: Path, out: str) -> Any:
    """A batch that goes on for as long as it is let, in a process of its own."""
    return start(
        *("batch", jobs, "-o", out, "--checkpoint", run, "-n", 100, "--num-samples", 10**6),
        *("--batch-size", 2),
        cwd=jobs.parent,
        stdout=PIPE,
        stderr=PIPE,
        bufsize=0,  # what readline had read ahead would be lost to communicate
    )  # fmt: skip


def remark(err: bytes, written: int, end: str) -> bool:
    """Whether the last line says how far a batch came; the signal may precede the count."""
    last = err.decode().splitlines()[-1]
    said = (f"Interrupted after {n:,} of 3,000,000 texts{end}" for n in (written - 1, written))
    return last in said


@POSIX
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output_gets_what_a_file_gets(name: str, jobs: Path, trained: Path) -> None:
    options = ("--checkpoint", trained, "-n", 9, "--num-samples", 2)
    assert call("batch", jobs, "-o", "out.jsonl", *options).exit_code == 0
    before = files_in(jobs.parent)
    done = shell("batch", jobs, "-o", name, *options, cwd=jobs.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout == before["out.jsonl"]
    assert b"6 texts to standard output" in done.stderr
    assert files_in(jobs.parent) == before


@POSIX
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_shards_are_merged_to_standard_output(name: str, jobs: Path, trained: Path) -> None:
    for n in (1, 2):
        shard = ("--shard", f"{n}/2", "--checkpoint", trained, "-n", 5)
        assert call("batch", jobs, "-o", f"out.{n}", *shard).exit_code == 0
    assert call("merge", "out.1", "out.2", "-o", "whole").exit_code == 0
    before = files_in(jobs.parent)
    done = shell("merge", "out.1", "out.2", "-o", name, cwd=jobs.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout == before["whole"]
    assert b"3 lines to standard output" in done.stderr
    assert files_in(jobs.parent) == before
    refused = the_error("merge", "out.1", "out.2", "-o", "whole")
    assert "Replace it with --force, or" in refused
    shard = jobs.parent / "out.2"
    shard.write_bytes(shard.read_bytes()[:-20] + b"\n")
    damaged = shell("merge", "out.1", "out.2", "-o", name, cwd=jobs.parent)
    assert (damaged.returncode, damaged.stdout) == (1, b"")


@POSIX
def test_lines_come_one_by_one_and_an_interrupt_is_remarked_on(jobs: Path, trained: Path) -> None:
    with long_batch(jobs, trained, "-") as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        rest, err = process.communicate(timeout=60)
    assert [(line["id"], line["sample"]) for line in lines] == [(1, 0), (1, 1), (1, 2)]
    written = len(lines) + len(rest.splitlines())
    assert process.returncode == 143
    assert remark(err, written, ".")
    assert list(files_in(jobs.parent)) == ["jobs.txt"]


@POSIX
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_an_interrupted_batch_says_how_to_continue(
    number: signal.Signals, status: int, jobs: Path, trained: Path
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("started in the background, where SIGINT is ignored")
    out = jobs.parent / "out.jsonl"
    with long_batch(jobs, trained, "out.jsonl") as process:
        while not out.exists() or out.stat().st_size < 1000:
            assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == status
    written = len(out.read_bytes().splitlines())
    assert remark(err, written, "; run the same command with --resume to continue.")


@POSIX
def test_a_reader_that_leaves_ends_a_batch_quietly(jobs: Path, trained: Path) -> None:
    with long_batch(jobs, trained, "-") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read().decode()
    assert process.returncode == 1
    assert "error" not in err


def test_standard_output_is_not_resumed(jobs: Path, trained: Path) -> None:
    error = the_error("batch", jobs, "-o", "-", "--checkpoint", trained, "--resume", status=2)
    assert "standard output, not a file that can be resumed" in error


def test_a_file_may_be_called_minus(jobs: Path, trained: Path) -> None:
    assert call("batch", jobs, "-o", "./-", "--checkpoint", trained, "-n", 1).exit_code == 0
    assert len((jobs.parent / "-").read_bytes().splitlines()) == 3
