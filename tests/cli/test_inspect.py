"""``chargen inspect`` and ``plot``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support import TRAIN, call


def test_inspect_lists_what_is_wrong(run: Path) -> None:
    (run / "model.safetensors").write_bytes(b"x" * 40)
    result = call("inspect", run)
    assert result.exit_code == 1
    assert "problem" in result.stdout
    assert "error:" in result.stderr
    report = call("inspect", run, "--json")
    assert report.exit_code == 1
    assert len(json.loads(report.stdout)["problems"]) == 1


def test_a_lost_corpus_is_a_note_not_a_problem(run: Path, corpus: Path, here: Path) -> None:
    copy = shutil.copytree(corpus, here / "copy")
    assert call("train", copy, "--name", "other", *TRAIN).exit_code == 0
    shutil.rmtree(copy)
    result = call("inspect", "other")
    assert result.exit_code == 0
    assert "Resuming needs the corpus" in " ".join(result.stdout.split())


def test_curves_from_the_command_line(run: Path) -> None:
    pytest.importorskip("matplotlib")
    result = call("plot", run)
    assert result.stdout == f"{run / 'curves.png'}\n"
