from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import LEARNABLE, call, the_error

SMALL: dict[str, tuple[Any, ...]] = {
    "cells": (
        "--cell",
        "gru",
        "--hidden-size",
        48,
        "--steps",
        1,
        "--minutes",
        0.001,
    ),
    "clockwork": ("--steps", 1, "--seeds", 1),
    "clipping": ("--rate", 1, "--steps", 1),
}


@pytest.mark.parametrize("name", SMALL)
def test_an_experiment_prints_tables_and_draws(name: str, here: Path) -> None:
    pytest.importorskip("matplotlib")
    options = list(SMALL[name])
    if name != "clockwork":
        Path("text.txt").write_text(LEARNABLE, "utf-8")
        options += ["--corpus", "text.txt"]
    told = call("experiment", name, *options, "--threads", 1)
    assert told.exit_code == 0, told.output
    assert Path(f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"Drawn: {name}.png" in told.stderr
    rows = [line.split()[0] for line in told.stdout.splitlines() if line.strip()]
    assert told.stdout.rstrip().endswith(".")  # the findings
    if name == "cells":
        assert rows.count("gru") == 2
    else:
        assert "rate" in told.stdout


def test_figures_for_scripts_are_json(here: Path) -> None:
    pytest.importorskip("matplotlib")
    Path("text.txt").write_text(LEARNABLE, "utf-8")
    options = ("--corpus", "text.txt", "--json", "--quiet", "-o", "picture.png")
    small = ("--hidden-size", 8, "--steps", 1, "--lags", 4)
    done = call("experiment", "vanishing", *small, *options)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert len(report["findings"]) == 2
    assert [len(each["norms"]) for each in report["reports"]] == [5, 5, 5]
    assert done.stderr == ""
    assert Path("picture.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("cells", "--cell", "x"), "--cell is 'x', not one of rnn, jordan"),
        (("cells", "--threads", -1), "--threads is -1, not at least 0 and at most 1024"),
        (("clockwork", "--threads", -1), "--threads is -1, not at least 0 and at most 1024"),
        (("clipping", "--threads", 9999), "--threads is 9999, not at least 0 and at most 1024"),
    ],
)
def test_options_that_can_not_be_are_told(
    arguments: tuple[object, ...], problem: str, here: Path
) -> None:
    pytest.importorskip("matplotlib")
    assert problem in the_error("experiment", *arguments, status=2)
    assert list(here.iterdir()) == []


def test_where_nothing_can_be_drawn_nothing_is_begun(here: Path) -> None:
    pytest.importorskip("matplotlib")
    refused = call("experiment", "clipping", "--out", "nowhere/c.png")
    assert refused.exit_code == 2
    assert "nowhere/c.png can't be written" in refused.stderr
    assert list(here.iterdir()) == []
