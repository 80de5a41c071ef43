from __future__ import annotations

import os
import time

import pytest

from chargen.cli.waiting import OtherPrograms


def test_others_keep_no_more_cores_busy_than_there_are() -> None:
    others = OtherPrograms()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    assert others.cores() <= (os.cpu_count() or 1) + 0.2


def test_threads_sleep_on_a_busy_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    for busy in (0.0, 2.0):
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
        monkeypatch.setattr(OtherPrograms, "cores", lambda _self, busy=busy: busy)
        OtherPrograms().choose_waiting()
        chosen.append(os.environ["GOMP_SPINCOUNT"])
    assert chosen == ["10000", "0"]


def test_the_users_own_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    OtherPrograms().choose_waiting()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
