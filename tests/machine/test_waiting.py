from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from chargen.machine import waiting
from chargen.machine.waiting import OtherPrograms


def test_what_others_use_is_what_is_neither_idle_nor_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr(waiting, "_STAT", stat)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _name: 100)
    ours, now = 3.0, 50.0
    monkeypatch.setattr(time, "process_time", lambda: ours)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    # In ticks: user, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen
    stat.write_text(
        "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 500 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n"
    )
    others = OtherPrograms()
    ours, now = 4.0, 60.0  # of 13 seconds, in ten, one is ours
    stat.write_text(
        "cpu  9 9 9 9 9 9 9 9 0 0\n"
        "cpu0 900 100 100 800 900 50 50 100 7 7\n"
        "cpu1 500 0 0 700 0 0 0 0 0 0\n"
        "cpu2 999 0 0 0 0 0 0 0 0 0\n"
        "intr 1 2 3 4 5 6 7 8\n"
    )
    assert others.cores() == pytest.approx((13 - 1) / 10)


def test_threads_sleep_on_a_busy_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    for busy in (0.0, 2.0):
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
        monkeypatch.setattr(OtherPrograms, "cores", lambda _self, busy=busy: busy)
        chosen.append(OtherPrograms().choose_waiting())
        assert os.environ["GOMP_SPINCOUNT"] == chosen[-1]
    assert chosen == ["10000", "0"]


def test_the_users_own_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert OtherPrograms().choose_waiting() == "7"
    assert os.environ["GOMP_SPINCOUNT"] == "7"
