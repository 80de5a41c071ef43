from __future__ import annotations

import os
from pathlib import Path

import pytest

from chargen.machine import processor
from chargen.machine.processor import processor_kind, processor_name


def test_the_model_and_the_cores_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    facts = "cpu family\t: 6\nmodel\t\t: 7\nmodel name\t: Abacus 3000 @ 1 Hz\nflags\t: beads\n"
    cpuinfo.write_text(f"processor\t: 0\n{facts}\nprocessor\t: 1\nmodel name\t: none\n")
    monkeypatch.setattr(processor, "_CPUINFO", cpuinfo)
    for cores, words in (({0}, "1 core"), ({0, 5}, "2 cores")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _p, cores=cores: cores, raising=False)
        assert processor_name() == f"Abacus 3000 @ 1 Hz, {words}"
    assert processor_kind() == "Abacus 3000 @ 1 Hz, cpu family 6, model 7"


def test_a_system_that_names_no_model_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "missing")
    assert "core" in processor_name()
    assert processor_kind() in processor_name()
