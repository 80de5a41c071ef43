"""A sweep: a run for every combination, each as ``train`` makes it alone."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.errors import CheckpointError, ConfigError
from tests.support import last_state, the_error, train_tiny

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
