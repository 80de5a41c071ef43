"""A sweep: a run for every combination, each as ``train`` makes it alone."""

from __future__ import annotations

import _thread
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.api.sweep_state import Judge, SweepRun
from chargen.errors import CheckpointError, ConfigError, CorpusError
from tests.support import last_state, metrics, the_error, train_tiny

SETS: dict[str, list[Any]] = {"lr": [8e-3, 1e-9], "hidden_size": [8, 16]}
SHARED: dict[str, Any] = {"max_steps": 20, "eval_every": 5, "threads": 1, "device": "cpu"}


def test_runs_are_those_of_train_and_some_are_stopped(corpus: Path, tmp_path: Path) -> None:
    """Interrupted after its second leg, it goes on from there by workers."""
    pytest.importorskip("optuna")
    asked = {"sets": SETS, "runs_dir": tmp_path, "stop_early": True, "preset": "tiny", **SHARED}
    legs: list[str] = []

    def interrupt(name: str, *_: object) -> None:
        legs.append(name)
        if len(legs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chargen.sweep(corpus, on_run=interrupt, **asked)
    with pytest.raises(CheckpointError, match="exists already"):
        chargen.sweep(corpus, **asked)
    with pytest.raises(CheckpointError, match="a sweep of other options"):
        chargen.sweep(corpus, resume=True, **{**asked, "max_steps": 30})
    found = chargen.sweep(corpus, resume=True, workers=2, **asked)
    assert [row.values["lr"] for row in found.rows[:1]] == [8e-3]
    best, *others = found.rows
    assert not best.stopped  # of the two good ones, the other may be, if it is slower
    assert all(row.stopped for row in others if row.values["lr"] == 1e-9)
    alone = train_tiny(corpus, tmp_path / "alone", seed=0, **SHARED, **best.values)
    assert best.mean == alone.bits_per_char
    assert last_state(found.path / best.runs[0]) == last_state(alone.path)
    assert len(found.comparison.runs) == 4
    again = chargen.sweep(corpus, resume=True, **asked)
    assert again.rows == found.rows


def test_runs_in_work_are_saved_when_the_sweep_is_ended(corpus: Path, tmp_path: Path) -> None:
    """Nothing else would save them before their end, twenty thousand steps later."""
    values = {"max_steps": 20_000, "eval_every": 20, "save_every": 10**6, "sample_every": 10**6}
    asked = {"sets": {"hidden_size": [8, 16]}, "preset": "tiny", **SHARED, **values}

    def there() -> list[Path]:
        return list(tmp_path.glob("sweep/*/metrics.jsonl"))

    def interrupt() -> None:
        # A line that is being written may end within a character.
        while sum(b'"step": 20,' in each.read_bytes() for each in there()) < 2:
            time.sleep(0.02)
        _thread.interrupt_main()

    # A shell's background job ignores SIGINT, and what it starts does so too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            chargen.sweep(corpus, runs_dir=tmp_path, workers=2, **asked)
    finally:
        signal.signal(signal.SIGINT, before)
    steps = [last_state(each.parent)["step"] for each in there()]
    assert len(steps) == 2
    assert all(20 <= step < 20_000 for step in steps)


def test_a_run_is_judged_by_an_evaluation_of_its_own(corpus: Path, tmp_path: Path) -> None:
    """At a quarter no run has been scored yet; those that never are can't be behind."""
    pytest.importorskip("optuna")
    shared = {**SHARED, "runs_dir": tmp_path, "stop_early": True, "preset": "tiny"}
    found = chargen.sweep(corpus, sets=SETS, **{**shared, "eval_every": 8})
    state = json.loads((found.path / "sweep.json").read_bytes())
    steps = {run["state"]: metrics(found.path / run["name"])[-1]["step"] for run in state["runs"]}
    assert steps == {"done": 20, "stopped": 8}
    best = found.rows[0]
    assert best.mean == train_tiny(corpus, tmp_path, eval_every=8, **best.values).bits_per_char
    found = chargen.sweep(corpus, sets=SETS, name="blind", **{**shared, "eval_every": 100})
    assert [row.stopped for row in found.rows] == [0] * 4


@pytest.mark.parametrize("bits", [[1.0, 2.0], [1.0, None], [None, None]])
def test_a_judge_asks_for_a_trial_a_run(bits: list[float | None]) -> None:
    pytest.importorskip("optuna")
    judge = Judge(wanted=True)
    runs = [SweepRun(name, {}, {}) for name in "ab"]
    behind = [judge.behind(run, 0, each) for run, each in zip(runs, bits, strict=True)]
    assert behind == [False, bits[0] is not None]
    assert not judge.behind(runs[0], 1, bits[0])
    assert judge._study is not None
    assert len(judge._study.trials) == 2


def test_nobody_is_stopped_without_a_validation_split(here: Path) -> None:
    pytest.importorskip("optuna")
    Path("text.txt").write_text("abcd efgh\n" * 200, encoding="utf-8")
    asked: dict[str, Any] = {"stop_early": True, "preset": "tiny", **SHARED}
    with pytest.raises(ConfigError, match=r"val-frac=0: .*`stop_early` needs a validation split"):
        chargen.sweep("text.txt", sets={"val_frac": [0.1, 0]}, **asked)
    assert not (here / "corpora").exists()
    prepared = chargen.prepare("text.txt", here / "prepared", val_frac=0)
    with pytest.raises(ConfigError, match=r"lr=0.01: .*`stop_early` needs a validation split"):
        chargen.sweep(prepared.path, sets={"lr": [1e-2]}, **asked)


def test_every_combination_is_checked_before_one_is_trained(corpus: Path, here: Path) -> None:
    sets = {"embedding_size": [16, 0], "tie_weights": [True, False]}
    with pytest.raises(ConfigError, match=r"embedding-size=0,tie-weights=true: .*`tie_weights`"):
        chargen.sweep(corpus, sets=sets, runs_dir=here / "runs", preset="tiny", **SHARED)
    with pytest.raises(CorpusError, match="task=infill: The corpus holds one stream"):
        chargen.sweep(corpus, sets={"task": ["lm", "infill"]}, runs_dir=here / "runs", **SHARED)
    assert not (here / "runs").exists()


def test_texts_are_prepared_as_the_task_of_a_run_needs_them(here: Path) -> None:
    pairs = "".join(f"ab{n}\tba{n}\n" for n in range(40))
    Path("pairs.tsv").write_text(f"src\ttrg\n{pairs}", encoding="utf-8")
    asked = {"preset": "tiny", "task": "seq2seq", **SHARED, "max_steps": 2}
    found = chargen.sweep("pairs.tsv", sets={"lr": [1e-3]}, **asked)
    assert found.rows[0].mean is not None


def test_what_cannot_be_varied_is_an_error(corpus: Path, here: Path) -> None:
    for given, message in (
        ("lr", "--set is 'lr', not an option"),
        ("hiden-size=3", "Did you mean hidden-size?"),
        ("lr=0,x", "2 options are not usable: --lr is 0.0, not above 0 and finite; --lr is 'x'"),
        ("seed=1,2", "--seed is the same for all runs"),
    ):
        assert message in the_error("sweep", corpus, "--set", given, status=2)
    with pytest.raises(ConfigError, match="`lr` has several values and one as well"):
        chargen.sweep(corpus, sets={"lr": [1e-3]}, lr=1e-3)
    assert not (here / "checkpoints").exists()
