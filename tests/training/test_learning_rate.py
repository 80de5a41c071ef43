from __future__ import annotations

import math

import pytest

from chargen.options import Recipe, TrainConfig
from chargen.training.learning_rate import learning_rate

RECIPE = Recipe()


def test_learning_rate_rises_linearly_is_held_and_falls_as_a_cosine() -> None:
    config = TrainConfig(lr=0.4, lr_final=0.1, warmup_steps=10)
    rates = [learning_rate(step, 100, config, RECIPE) for step in range(101)]
    for step in range(10):
        assert rates[step] == pytest.approx(0.4 * (step + 1) / 10)
    assert set(rates[10:41]) == {0.4}
    for step in range(41, 101):
        half_turn = math.pi * (step - 40) / 60
        assert rates[step] == pytest.approx(0.04 + 0.36 * (1 + math.cos(half_turn)) / 2)
    assert rates[100] == pytest.approx(0.04)


def test_a_warm_up_longer_than_the_hold_ends_before_the_rate_falls() -> None:
    config = TrainConfig(lr=1.0, lr_final=0.0, warmup_steps=60)
    rates = [learning_rate(step, 100, config, RECIPE) for step in range(101)]
    assert rates[59] == rates[60] == 1
    assert rates[80] == pytest.approx(0.5)


def test_no_rate_before_the_fall_depends_on_the_number_of_steps() -> None:
    config = TrainConfig(warmup_steps=10)
    for step in range(10):
        rates = {learning_rate(step, total, config, RECIPE) for total in (None, 1, 12, 9999)}
        assert len(rates) == 1
    for step in range(10, 41):
        rates = {learning_rate(step, total, config, RECIPE) for total in (None, 100, 9999)}
        assert len(rates) == 1


@pytest.mark.parametrize(("step", "total"), [(0, 1), (5, 1), (0, 0), (3, 3)])
def test_short_runs_have_a_finite_rate(step: int, total: int) -> None:
    rate = learning_rate(step, total, TrainConfig(lr=1.0, warmup_steps=0), RECIPE)
    assert 0 < rate <= 1
