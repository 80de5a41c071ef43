from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import chargen
from chargen.runs.folder import RunFolder
from tests.support import call


def test_runs_are_listed_with_what_they_reached(run: Path, here: Path) -> None:
    broken = Path(shutil.copytree(run, run.parent / "broken"))
    (broken / "config.json").write_bytes(b"{")
    found = {each.name: each for each in chargen.list_runs(run.parent)}
    assert set(found) == {"run", "broken"}
    listed, model = found["run"], RunFolder(run).load_model()
    assert listed.parameters == sum(p.numel() for p in model.model.parameters())
    assert (listed.steps, listed.finished, listed.problem) == (40, True, None)
    assert listed.bits_per_char == pytest.approx(model.bits_per_char)
    assert "config.json" in (found["broken"].problem or "")
    table = call("runs").stdout
    assert "lstm 32" in table
    assert "damaged" in table
    as_json = json.loads(call("runs", "--json").stdout)
    assert [each["name"] for each in as_json] == [each.name for each in chargen.list_runs()]


def test_an_empty_folder_says_how_to_make_a_run(here: Path) -> None:
    told = call("runs")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "chargen train" in told.stderr
