from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import chargen
from chargen.runs.machine_record import MachineRecord

HERE = MachineRecord.here(torch.device("cpu"), 2, "float32")


def test_a_record_says_what_decides_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")
    found = MachineRecord.here(torch.device("cpu"), 2, "float32")
    assert (found.chargen, found.torch) == (chargen.__version__, torch.__version__)
    assert (found.device, found.threads, found.precision) == ("cpu", 2, "float32")
    assert found.spin == "10000"


def test_the_same_machine_needs_no_note() -> None:
    assert HERE.note_on_resume(HERE) is None
    assert HERE.note_on_resume(replace(HERE, spin="7")) is None


def test_every_difference_is_named_in_one_line() -> None:
    other = replace(HERE, torch="9.9", device="cuda (some GPU)", precision="bfloat16")
    assert HERE.differences(other) == (
        f"torch was {HERE.torch}, is 9.9",
        "the device was cpu, is cuda (some GPU)",
        "the precision was float32, is bfloat16",
    )
    note = HERE.note_on_resume(other)
    assert note is not None
    assert note.startswith("This resume will not be bit for bit: torch was ")
    assert "\n" not in note


def test_what_was_not_recorded_is_not_compared() -> None:
    unknown = replace(HERE, torch=None, cpu_capability=None, device=None, precision=None)
    assert unknown.note_on_resume(HERE) is None
