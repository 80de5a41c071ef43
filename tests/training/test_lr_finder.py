from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chargen
from chargen import api
from chargen.corpus.shipped import shipped_text
from chargen.training import lr_finder
from chargen.training.events import Step
from chargen.training.lr_finder import RangeTest
from tests.support import call, files_in, train_tiny

OPTIONS: dict[str, Any] = {
    "device": "cpu",
    "preset": "tiny",
    "dropout": 0.1,
    "seed": 4,
    "threads": 1,
}


@pytest.fixture(scope="module")
def poems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text that isn't known by heart within some hundred steps."""
    folder = tmp_path_factory.mktemp("poems")
    beginning = folder / "poems.txt"
    beginning.write_text(shipped_text("jueju.txt").read_text("utf-8")[:8000], encoding="utf-8")
    return chargen.prepare(beginning, folder / "poems", vocab_size=300).path


@pytest.fixture(scope="module")
def found(poems: Path) -> RangeTest:
    return api.find_lr(poems, **OPTIONS)


def test_the_suggested_rate_learns_better_than_much_lower_and_higher_ones(
    found: RangeTest, poems: Path, tmp_path: Path
) -> None:
    bits = []
    for n, factor in enumerate((1 / 30, 1, 30)):
        rate = found.suggested_lr * factor
        run = train_tiny(
            poems, tmp_path / str(n), **{**OPTIONS, "lr": rate, "max_steps": 80, "eval_every": 80}
        )
        assert run.bits_per_char is not None
        bits.append(run.bits_per_char)
    assert bits[1] < min(bits[0], bits[2]) - 0.2


def test_rates_rise_by_one_factor_until_the_loss_does(found: RangeTest) -> None:
    ratios = np.diff(np.log(found.lr))
    assert np.allclose(ratios, ratios[0])
    assert found.diverged
    assert len(found.lr) == len(found.loss) == len(found.smoothed) < lr_finder.STEPS
    assert found.configured_lr == 1e-2
    assert found.lr[0] == pytest.approx(1e-5)
    assert found.lowest_lr == found.lr[lr_finder._lowest(found.loss, found.smoothed)]
    assert found.suggested_lr == pytest.approx(found.lowest_lr / 4, rel=0.05)


def test_it_is_the_run_itself_that_is_tried(found: RangeTest, poems: Path, here: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    told: list[int] = []
    assert api.find_lr(poems, on_step=lambda done, _: told.append(done), **OPTIONS) == found
    assert told == list(range(1, len(found.lr) + 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert files_in(here) == {}
    events: list[Any] = []
    train_tiny(poems, here, **{**OPTIONS, "max_steps": 1}, on_event=events.append)
    assert found.loss[0] == next(e.loss for e in events if isinstance(e, Step))


def test_rates_that_are_all_too_low_are_told(poems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr_finder, "STEPS", 40)
    test = api.find_lr(poems, **{**OPTIONS, "lr": 1e-7})
    assert not test.diverged
    assert len(test.lr) == 40
    assert test.lr[-1] == pytest.approx(1e-5)


def test_no_rise_by_chance_ends_the_test(poems: Path) -> None:
    losses = np.random.default_rng(1).normal(5, 0.5, 200).tolist()
    assert not any(lr_finder._has_diverged(losses[:n]) for n in range(200))
    assert lr_finder._has_diverged([*losses, *np.linspace(5, 9, 20)])
    test = api.find_lr(poems, **{**OPTIONS, "batch_size": 1})
    assert test.lr[-1] > 0.9 * test.configured_lr


@pytest.mark.parametrize("seed", range(5))
def test_where_little_is_learnt_chance_suggests_no_low_rate(seed: int) -> None:
    rates = np.logspace(-3, 1, 240)
    scatter = np.random.default_rng(seed).normal(0, 0.3, 240)
    losses = 2.2 + 0.5 * np.clip(np.log10(rates), 0, None) + scatter
    lowest = rates[lr_finder._lowest(losses, lr_finder._smoothed(rates, losses))]
    assert 0.3 < lowest < 10
    learnt = 5 - np.clip(np.log10(rates) + 3, 0, 2) + 4 * np.clip(np.log10(rates) + 1, 0, None)
    noisy = learnt + 0.1 * scatter
    sharp = rates[lr_finder._lowest(noisy, lr_finder._smoothed(rates, noisy))]
    assert 0.08 < sharp < 0.15


def test_the_smooth_curve_lags_behind_nothing() -> None:
    rates = np.logspace(-4, 0, 81)
    valley = [abs(np.log10(lr) + 2) for lr in rates]
    smoothed = lr_finder._smoothed(rates, valley)
    assert rates[int(np.argmin(smoothed))] == pytest.approx(1e-2)
    assert lr_finder._smoothed(rates, [3.0] * 81) == pytest.approx([3.0] * 81)


def test_from_the_command_line(poems: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(lr_finder, "STEPS", 60)
    arguments = ("find-lr", poems, "--preset", "tiny", "--threads", 1)
    shown = call(*arguments, "-o", "lr.png")
    assert shown.exit_code == 0, shown.output
    report = json.loads(call(*arguments, "--json", "-q").stdout)
    assert f"--lr {report['suggested_lr']:g}" in shown.stdout
    assert "┤" in shown.stdout
    assert Path("lr.png").read_bytes().startswith(b"\x89PNG")
    assert list(files_in(here)) == ["lr.png"]
