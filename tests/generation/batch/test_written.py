"""A batch that goes on checks what it has written already."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import call, the_error

JOBS = "".join(json.dumps({"prompt": "春", "num_samples": n}) + "\n" for n in (1, 2, 1, 1))
BAD = '{"prompt": 3}\n'


@pytest.fixture
def batch(here: Path, trained: Path) -> Callable[..., tuple[object, ...]]:
    def command(*more: str) -> tuple[object, ...]:
        options = ("-n", 5, "--keep-going", "-q", *more)
        return ("batch", "jobs.jsonl", "-o", "out.jsonl", "--checkpoint", trained, *options)

    (here / "jobs.jsonl").write_text(JOBS + BAD, "utf-8")
    return command


ORDERS = pytest.mark.parametrize("order", [(), ("--unordered",)], ids=["ordered", "unordered"])
Lines = list[bytes]


def other(line: bytes, **values: object) -> bytes:
    return json.dumps({**json.loads(line), **values}, ensure_ascii=False).encode() + b"\n"


DAMAGE: dict[str, Callable[[Lines], Lines]] = {
    "garbage": lambda lines: [lines[0], b"garbage\n", *lines[2:]],
    "nothing": lambda lines: [lines[0], b"\n", *lines[2:]],
    "zeros": lambda lines: [lines[0], bytes(40) + b"\n", *lines[2:]],
    "deep": lambda lines: [lines[0], b"[" * 100_000 + b"\n", *lines[2:]],
    "a doubled line": lambda lines: [lines[0], lines[0], *lines[1:]],
    "another id": lambda lines: [lines[0], other(lines[1], id=77), *lines[2:]],
    "another sample": lambda lines: [lines[0], other(lines[1], sample=77), *lines[2:]],
    "another seed": lambda lines: [lines[0], other(lines[1], seed=77), *lines[2:]],
    "another field": lambda lines: [lines[0], other(lines[1], x=1), *lines[2:]],
    "a list": lambda lines: [lines[0], b"[1, 2]\n", *lines[2:]],
    "a shorter text": lambda lines: [lines[0], other(lines[1], text="x"), *lines[2:]],
    "more spaces": lambda lines: [lines[0], lines[1].replace(b": ", b":  "), *lines[2:]],
}


@ORDERS
@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_line_that_is_not_of_its_job_is_one_error(
    batch: Callable[..., tuple[object, ...]],
    here: Path,
    order: tuple[str, ...],
    what: str,
    recorded: bool,
) -> None:
    assert call(*batch(*order)).exit_code == 0
    out, sidecar = here / "out.jsonl", here / "out.jsonl.run.json"
    lines = out.read_bytes().splitlines(keepends=True)
    if not recorded:
        values = json.loads(sidecar.read_bytes())
        del values["written"]
        sidecar.write_text(json.dumps(values), "utf-8")
    # In no order the first line is the error of the bad job; the second is always a text.
    damaged = b"".join(DAMAGE[what](lines))
    out.write_bytes(damaged)
    assert "line 2: " in the_error(*batch(*order), "--resume")
    assert out.read_bytes() == damaged


@ORDERS
def test_a_shard_without_jobs_is_finished_however_often_it_is_resumed(
    batch: Callable[..., tuple[object, ...]], here: Path, order: tuple[str, ...]
) -> None:
    for _ in range(3):
        found = call(*batch(*order, "--shard", "9/9", "--resume"))
        assert found.exit_code == 0, found.stderr
        assert (here / "out.jsonl").read_bytes() == b""


@ORDERS
@pytest.mark.parametrize("kept", range(7))
def test_any_number_of_lines_and_a_torn_one_are_gone_on_with(
    batch: Callable[..., tuple[object, ...]], here: Path, order: tuple[str, ...], kept: int
) -> None:
    assert call(*batch(*order)).exit_code == 0
    out, sidecar = here / "out.jsonl", here / "out.jsonl.run.json"
    whole, record = out.read_bytes(), sidecar.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 6
    out.write_bytes(b"".join(lines[:kept]) + b"".join(lines[kept : kept + 1])[:11])
    assert call(*batch(*order), "--resume").exit_code == 0
    assert sorted(out.read_bytes().splitlines()) == sorted(whole.splitlines())
    if not order:
        assert (out.read_bytes(), sidecar.read_bytes()) == (whole, record)


def test_a_changed_text_is_found_by_the_digest(
    batch: Callable[..., tuple[object, ...]], here: Path
) -> None:
    assert call(*batch()).exit_code == 0
    out = here / "out.jsonl"
    lines = out.read_bytes().splitlines(keepends=True)
    lines[2] = other(lines[2], text="春" * json.loads(lines[2])["characters"])
    out.write_bytes(b"".join(lines))
    assert "one of the lines 1 to 6 was changed" in the_error(*batch(), "--resume")


def test_lines_beyond_the_last_job_are_an_error(
    batch: Callable[..., tuple[object, ...]], here: Path
) -> None:
    assert call(*batch()).exit_code == 0
    with (here / "out.jsonl").open("ab") as file:
        file.write(b'{"id": 9}\n')
    assert "line 7: there is no job for it" in the_error(*batch(), "--resume")
