"""Rates and times left are those of the phase that is shown."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rich.progress import Progress

from chargen.terminal.bars import move
from chargen.terminal.console import Terminal


def test_each_phase_of_a_bar_has_its_own_rate_and_time_left() -> None:
    clock = SimpleNamespace(now=0.0)
    bar = Progress(get_time=lambda: clock.now, disable=True)
    task = bar.add_task("count", total=None)
    for clock.now, done in [(0.0, 0.0), (10.0, 50.0), (20.0, 100.0)]:
        move(bar, task, done, 100.0)
    assert bar.tasks[task].finished
    for clock.now, done in [(20.0, 0.0), (21.0, 25.0), (22.0, 50.0)]:
        move(bar, task, done, 100.0, description="encode")
    shown = bar.tasks[task]
    assert not shown.finished
    assert (shown.description, shown.completed) == ("encode", 50.0)
    assert (shown.elapsed, shown.speed, shown.time_remaining) == (2.0, 25.0, 2.0)


def test_each_phase_of_plain_lines_has_its_own_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        "chargen.terminal.console.time", SimpleNamespace(monotonic=lambda: clock.now)
    )
    with Terminal().progress("preparing", "bytes", live=False) as show:
        for clock.now, phase, done in [
            (0.0, "counting", 0),
            (100.0, "counting", 1000),
            (100.0, "encoding", 0),
            (110.0, "encoding", 500),
        ]:
            show(phase, done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "counting: 100%, 10 bytes/s",
        "encoding: 50%, 50 bytes/s",
    ]
