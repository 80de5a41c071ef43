from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from chargen.errors import CheckpointError
from chargen.runs.history import history_of
from chargen.runs.metrics import MetricsLog, forget_after, read_metrics
from chargen.training import events
from chargen.training.events import Event

NAME = "metrics.jsonl"


def sample(step: int, seconds: float, text: str = "") -> dict[str, object]:
    return {"event": "sample", "step": step, "seconds": seconds, "text": text}


def write(run: Path, steps: range) -> None:
    log = MetricsLog(run, 0)
    for step in steps:
        log.write(sample(step, step / 2, "字\n" * step))
    log.close()


def test_events_come_back_in_order(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    write(tmp_path, range(3))
    assert [line["step"] for line in read_metrics(tmp_path)] == [0, 1, 2]
    assert read_metrics(tmp_path)[1] == {
        "event": "sample",
        "step": 1,
        "seconds": 0.5,
        "text": "字\n",
    }


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_lost_and_nothing_else(cut: int, tmp_path: Path) -> None:
    path = tmp_path / NAME
    write(tmp_path, range(3))
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    whole = content[:-cut].count(b"\n")
    assert [line["step"] for line in read_metrics(tmp_path)] == list(range(whole))
    forget_after(tmp_path, 9)
    assert path.read_bytes() == b"\n".join(content.split(b"\n")[:whole]) + (b"\n" * (whole > 0))


def test_newer_lines_are_forgotten(tmp_path: Path) -> None:
    write(tmp_path, range(5))
    forget_after(tmp_path, 2)
    assert [line["step"] for line in read_metrics(tmp_path)] == [0, 1, 2]


def test_a_run_that_goes_back_leaves_no_step_twice(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    for step in (1, 2, 3):
        log.write(sample(step, float(step)))
    log.rewind(1)
    log.write({"event": "rolledback", "step": 1, "seconds": 4.0})
    log.write(sample(2, 5.0))
    log.close()
    lines = read_metrics(tmp_path)
    assert [(line["event"], line["step"]) for line in lines] == [
        ("sample", 1),
        ("rolledback", 1),
        ("sample", 2),
    ]


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    figures = {"bits_per_char": math.nan, "nats_per_char": math.inf, "accuracy": 0.5}
    name = "caf\udce9"  # a path's byte that is no UTF-8
    log.write({"event": "evaluation", "step": 1, "seconds": 2.0, **figures, "name": name})
    log.close()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = (tmp_path / NAME).read_text("utf-8")
    line = json.loads(text, parse_constant=refuse)
    assert (line["bits_per_char"], line["nats_per_char"], line["accuracy"]) == (None, None, 0.5)
    assert line["name"] == r"caf\udce9"


START = b'{"event": "step", "step": 1, "seconds": 1.0'


@pytest.mark.parametrize(
    "bad",
    [
        *[b"rubbish", b"3", b"{}", b"\xff", b"", b'{"step": 1}', b"[" * 100_000, b"x" * (1 << 20)],
        b'{"event": "sample", "step": "1", "seconds": 1.0}',
        b'{"event": "sample", "step": true, "seconds": 1.0}',
        b'{"event": "sample", "step": -1, "seconds": 1.0}',
        b'{"event": "sample", "step": 1, "seconds": NaN}',
        b'{"event": "sample", "step": 1, "seconds": 1e999}',
        b'{"event": "sample", "step": 1' + b"0" * 30 + b', "seconds": 1.0}',
        b'{"event": ["sample"], "step": 1, "seconds": 1.0}',
        START + b"}",
        START + b', "loss": "x", "grad_norm": 1, "clipped": 0, "lr": 1, "epoch": 1, '
        b'"chars_per_second": 1}',
        b'{"event": "evaluation", "step": 1, "seconds": 1.0, "bits_per_char": {}}',
        b'{"event": "finished", "step": 1, "seconds": 1.0, "reason": 3}',
    ],
    ids=lambda bad: bad[:60].decode("ascii", "replace"),
)
def test_a_damaged_line_is_told_with_its_number(bad: bytes, tmp_path: Path) -> None:
    write(tmp_path, range(2))
    path = tmp_path / NAME
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], bad, *lines[1:]]))
    with pytest.raises(CheckpointError, match="line 2"):
        read_metrics(tmp_path)


EVENTS: list[Event] = [
    events.Started(0, 0.0, 9, 1, "cpu", 99, 3.5, 8, 4, 1.44, 0.0, False, ("a note",)),
    events.Planned(0, 0.1, 20, 3.0, True),
    events.Step(1, 0.2, 2.0, 1.0, 0.0, 0.01, 0.1, 1000.0, 2.5),
    events.Evaluation(1, 0.3, 3.0, 2.0, 0.5, 99, True),
    events.Evaluation(1, 0.3, math.nan, math.nan, 0.5, 99, False),
    events.Sample(1, 0.4, "text"),
    events.Checkpoint(1, 0.5, "last/1"),
    events.RolledBack(1, 0.6, 2, 0.5),
    events.Finished(1, 0.7, "done", None, "run"),
]


def test_every_event_of_training_can_be_read(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    for event in EVENTS:
        log.write(event.to_dict())
    log.close()
    lines = read_metrics(tmp_path)
    assert [line["event"] for line in lines] == [event.to_dict()["event"] for event in EVENTS]
    kinds = {each for each in vars(events).values() if isinstance(each, type)}
    assert {type(event) for event in EVENTS} == {
        each
        for each in kinds  # Earlier tells what is in the metrics already
        if issubclass(each, Event) and each not in (Event, events.Earlier)
    }


def test_the_history_is_that_of_the_events(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    for event in EVENTS:
        log.write(event.to_dict())
    log.close()
    history = history_of(read_metrics(tmp_path))
    assert (history.steps, history.seconds, history.reason) == (1, 0.7, "done")
    assert (history.loss, history.chars_per_second) == (2.0, 1000.0)
    assert history.evaluations == ((1, 3.0),)
    assert history.best_bits_per_char == history.last_bits_per_char == 3.0
    assert history_of(read_metrics(tmp_path)[:3]).reason is None
    assert history_of([]).steps == 0
