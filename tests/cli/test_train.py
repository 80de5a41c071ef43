"""``chargen train``: options, resuming, the shipped text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chargen.corpus.shipped import shipped_text
from chargen.options import CELLS
from chargen.training.presets import PRESETS
from tests.support import TRAIN, call, files_in, the_error


def test_contradictions_are_told_all_at_once(text: Path) -> None:
    before = files_in(text.parent)
    error = the_error(
        "train", text, "--preset", "huge", "--cell", "nonsense", "--lr", -1, "--dropout", 1,
        "--epochs", 1, "--max-steps", 5, "--max-minutes", 1, "--val-frac", 3, "--oov", "drop",
        status=2,
    )  # fmt: skip
    for part in ("'huge'", "'nonsense'", "--lr is", "--dropout is", "--val-frac is 3", "'drop'"):
        assert part in error
    assert "--epochs and --max-steps and --max-minutes contradict each other" in error
    assert all(name in error for name in (*PRESETS, *CELLS))
    assert files_in(text.parent) == before


def test_resume_from_the_command_line(run: Path, corpus: Path) -> None:
    arguments = ("train", corpus, "--preset", "tiny", "--name", "run", "--out-dir", run.parent)
    again = call(*arguments, "--max-steps", 40, "--resume")
    assert again.exit_code == 0, again.output
    more = call(*arguments, "--max-steps", 45, "--resume")
    assert "Continuing at step 40" in more.stderr
    assert "Done: step 45" in more.stderr
    assert "exists already" in the_error(*arguments, "--max-steps", 40)


def test_a_run_that_diverges_ends_with_status_1_and_says_so(corpus: Path, here: Path) -> None:
    blown = ("--optimizer", "sgd", "--lr", 1e30, "--grad-clip", 0, "--warmup-steps", 0, *TRAIN)
    result = call("train", corpus, "--name", "run", "--json", *blown)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["run"], report["reason"]) == (str(Path("checkpoints/run")), "diverged")
    end = result.stderr.splitlines()[-3:]
    assert end[0].startswith("Diverged: step ")
    assert end[1].startswith("error: The run has diverged: ")
    assert "--lr, such as chargen find-lr suggests" in end[2]
    assert "Done" not in result.stderr
    assert ", diverged" in call("inspect", "run").stdout


def test_without_a_text_the_shipped_one_is_meant(here: Path) -> None:
    result = call("train", "--preset", "tiny", "--max-steps", 1, "--val-frac", 0)
    assert result.exit_code == 0, result.output
    text = shipped_text()
    assert text.name in result.stderr
    assert len(list(Path("checkpoints").glob(f"{text.stem}*-lstm-1"))) == 1


def test_rates_are_tried_and_none_is_kept(corpus: Path, here: Path) -> None:
    options = ("--preset", "tiny", "--device", "cpu", "--threads", 1)
    result = call("find-lr", corpus, *options, "-o", "rates.png")
    pytest.importorskip("matplotlib")
    assert result.exit_code == 0, result.output
    assert "suggested" in result.stdout
    assert "Drawn: rates.png" in result.stderr
    assert Path("rates.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in here.iterdir()] == ["rates.png"]
    error = the_error(
        "find-lr", corpus, *options, "--lr", 0, "--cell", "x", "-o", "b.png", status=2
    )
    assert "--lr is 0.0, not above 0 and finite" in error
    assert "--cell is 'x', not one of" in error
