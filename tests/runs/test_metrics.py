from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from chargen.errors import CheckpointError
from chargen.runs.metrics import MetricsLog, forget_after, read_metrics
from chargen.training.events import Evaluation, RolledBack, Sample


def write(path: Path, steps: range) -> None:
    log = MetricsLog(path, 0)
    for step in steps:
        log.write(Sample(step, step / 2, text="字\n" * step))
    log.close()


def test_events_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    write(path, range(3))
    assert [line["step"] for line in read_metrics(path)] == [0, 1, 2]
    assert read_metrics(path)[1] == {"event": "sample", "step": 1, "seconds": 0.5, "text": "字\n"}


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_lost_and_nothing_else(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, range(3))
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    whole = content[:-cut].count(b"\n")
    assert [line["step"] for line in read_metrics(path)] == list(range(whole))
    forget_after(path, 9)
    assert path.read_bytes() == b"\n".join(content.split(b"\n")[:whole]) + (b"\n" * (whole > 0))


def test_newer_lines_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, range(5))
    forget_after(path, 2)
    assert [line["step"] for line in read_metrics(path)] == [0, 1, 2]


def test_a_run_that_goes_back_leaves_no_step_twice(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 0)
    for step in (1, 2, 3):
        log.write(Sample(step, float(step), text=""))
    log.write(RolledBack(1, 4.0, failed_step=4, lr_scale=0.5))
    log.write(Sample(2, 5.0, text=""))
    log.close()
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [(line["event"], line["step"]) for line in lines] == [
        ("sample", 1),
        ("rolledback", 1),
        ("sample", 2),
    ]


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 0)
    log.write(
        Evaluation(
            1,
            2.0,
            bits_per_char=math.nan,
            nats_per_char=math.inf,
            accuracy=0.5,
            characters=3,
            best=False,
        )
    )
    log.close()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = (tmp_path / "metrics.jsonl").read_text("utf-8")
    line = json.loads(text, parse_constant=refuse)
    assert (line["bits_per_char"], line["nats_per_char"], line["accuracy"]) == (None, None, 0.5)


@pytest.mark.parametrize("bad", [b"rubbish", b"3", b"{}", b'{"step": 1}', b"\xff", b""])
def test_a_damaged_line_is_told_with_its_number(bad: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, range(2))
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], bad, *lines[1:]]))
    with pytest.raises(CheckpointError, match="line 2"):
        read_metrics(path)
