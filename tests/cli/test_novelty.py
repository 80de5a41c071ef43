"""``chargen novelty``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.generation.conftest import CORPORA
from tests.support import call


def test_novelty_reports_a_copy(here: Path) -> None:
    pytest.importorskip("pydivsufsort")
    text = (CORPORA / "jueju.txt").read_text("utf-8")
    Path("copied.txt").write_text(text[100:160], "utf-8")
    shown = call("novelty", "copied.txt", CORPORA / "jueju.txt", "--json")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["copied_ngrams"]["32"] == 1
    for quiet in ((), ("--quiet",)):
        shown = call("novelty", "copied.txt", CORPORA / "jueju.txt", *quiet)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert "longest copied run" in shown.stdout
        line = text[: text.index(text[100:160].strip())].count("\n") + 1
        row = shown.stdout.splitlines()[-1] if text[100:160].count("\n") == 0 else shown.stdout
        assert f" {line} " in row
