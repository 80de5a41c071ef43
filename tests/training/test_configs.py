from __future__ import annotations

import pytest

from chargen.errors import ConfigError
from chargen.training.configs import configs_of
from chargen.training.presets import Extent

SHORT = Extent(1000, 6_000, 6_000)


def test_the_rate_is_that_of_the_batch_which_a_short_text_can_fill() -> None:
    _, asked = configs_of("small", {}, SHORT)
    _, filled = configs_of("small", {"batch_size": 16}, SHORT)
    _, long = configs_of("small", {}, Extent(1000, 60_000, 60_000))
    assert asked.batch_size == long.batch_size == 32
    assert asked.lr == filled.lr
    assert asked.lr == pytest.approx(long.lr / 2**0.5, rel=1e-3)


@pytest.mark.parametrize("vocab_size", [66, 1000])
def test_what_is_chosen_goes_before_what_suits(vocab_size: int) -> None:
    chosen = {"lr": 0.5, "weight_decay": 0.25, "seq_length": 7, "batch_size": 3, "dropout": 0.0}
    _, training = configs_of("small", chosen, Extent(vocab_size, 6_000, 6_000))
    assert {name: getattr(training, name) for name in chosen} == chosen


def test_dropout_that_is_chosen_stands_alone() -> None:
    _, constant = configs_of("small", {"dropout": 0.1}, SHORT)
    _, growing = configs_of("small", {"dropout_growth": 0.1}, SHORT)
    assert (constant.dropout, constant.dropout_growth) == (0.1, 0.0)
    assert (growing.dropout, growing.dropout_growth) == (0.0, 0.1)


@pytest.mark.parametrize("option", ["batch_size", "seq_length"])
def test_a_batch_of_nothing_is_told_as_such(option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        configs_of("small", {option: 0}, SHORT)


@pytest.mark.parametrize("preset", ["small", "tiny"])
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_weights_decay_by_adamw_unless_that_is_chosen(preset: str, optimizer: str) -> None:
    _, adamw = configs_of(preset, {}, SHORT)
    _, other = configs_of(preset, {"optimizer": optimizer}, SHORT)
    _, chosen = configs_of(preset, {"optimizer": optimizer, "weight_decay": 0.25}, SHORT)
    assert adamw.weight_decay > other.weight_decay == 0
    assert chosen.weight_decay == 0.25


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 - 1])
def test_a_seed_that_no_generator_takes_is_told_as_such(seed: int) -> None:
    with pytest.raises(ConfigError, match="seed"):
        configs_of("small", {"seed": seed}, SHORT)
