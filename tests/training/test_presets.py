from __future__ import annotations

from typing import Any

import pytest

from chargen.options import CELLS, ModelConfig, Recipe, TrainConfig, check
from chargen.training.extent import Extent
from chargen.training.presets import (
    PRESETS,
    choose_model,
    choose_training,
    default_passes,
    suited_model,
    suited_training,
)

ENGLISH, CHINESE = (Extent(size, 1_000_000, 1_000_000) for size in (66, 3257))
ADAMW = {"optimizer": "adamw", "batch_size": 32, "seq_length": 64}
RECIPE = Recipe()


def network(hidden: int = 256, **options: Any) -> ModelConfig:
    return ModelConfig(1000, hidden_size=hidden, **options)


def test_a_large_vocabulary_shares_its_table() -> None:
    assert suited_model(ENGLISH, RECIPE)["tie_weights"] is False
    assert suited_model(CHINESE, RECIPE)["tie_weights"] is True
    assert (
        suited_model(CHINESE, RECIPE)["embedding_size"]
        > suited_model(ENGLISH, RECIPE)["embedding_size"]
    )


@pytest.mark.parametrize(
    ("preset", "extent", "given", "layers"),
    [
        ("small", ENGLISH, {}, 1),
        ("small", CHINESE, {}, 2),
        ("small", CHINESE, {"num_layers": 1}, 1),
        ("small", CHINESE, {"task": "classify"}, 1),
        ("small", CHINESE, {"records": True}, 1),
        ("small", CHINESE, {"cell": "jordan"}, 1),
        ("small", Extent(3257, 60_000, 60_000), {}, 1),
        ("lecture", CHINESE, {}, 1),
    ],
)
def test_an_lstm_that_continues_a_text_of_a_large_vocabulary_has_a_second_layer(
    preset: str, extent: Extent, given: dict[str, Any], layers: int
) -> None:
    assert choose_model(PRESETS[preset], given, extent, RECIPE).num_layers == layers


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("extent", [ENGLISH, CHINESE])
def test_a_list_of_cells_says_how_many_layers_there_are(preset: str, extent: Extent) -> None:
    model = choose_model(PRESETS[preset], {"cell": "rnn,gru,lstm"}, extent, RECIPE)
    assert model.num_layers == 3
    assert model.problems() == []


def test_four_times_the_width_halves_the_rate() -> None:
    one, four = (
        suited_training(CHINESE, network(hidden), ADAMW, RECIPE)["lr"] for hidden in (256, 1024)
    )
    assert four == pytest.approx(one / 2)


def test_a_quarter_of_the_batch_halves_the_rate() -> None:
    one, quarter = (
        suited_training(ENGLISH, network(), {**ADAMW, "batch_size": size}, RECIPE)["lr"]
        for size in (32, 8)
    )
    assert quarter == pytest.approx(one / 2, rel=1e-3)


def test_a_batch_of_twice_the_size_leaves_the_rate() -> None:
    rates = {
        suited_training(ENGLISH, network(), {**ADAMW, "batch_size": n}, RECIPE)["lr"]
        for n in (32, 64)
    }
    assert len(rates) == 1


@pytest.mark.parametrize(("vocabulary", "more"), [(66, 0.02), (3000, 0.05)])
def test_dropout_grows_faster_on_less_text(vocabulary: int, more: float) -> None:
    sizes = (100_000_000, 1_000_000, 250_000, 80_000)
    growth = [
        suited_training(Extent(vocabulary, n, n), network(), ADAMW, RECIPE)["dropout_growth"]
        for n in sizes
    ]
    assert growth[0] == 0
    assert growth == sorted(growth)
    assert growth[2] == pytest.approx(growth[1] + more)


def test_a_short_text_of_many_characters_has_the_more_dropout_the_smaller_it_is() -> None:
    suited = [
        suited_training(Extent(1000, n, n), network(), ADAMW, RECIPE)
        for n in (50_000, 25_000, 6_000, 600)
    ]
    shares = [training["dropout"] for training in suited]
    assert shares[:2] == [0.58, 0.66]
    assert shares[2:] == [0.8, 0.8]
    assert not any("dropout_growth" in training for training in suited)


def test_dropout_grows_faster_with_rare_characters() -> None:
    english, chinese = (
        suited_training(e, network(), ADAMW, RECIPE)["dropout_growth"] for e in (ENGLISH, CHINESE)
    )
    assert chinese > english


def test_a_large_vocabulary_decays_faster() -> None:
    english, chinese = (
        suited_training(extent, network(), ADAMW, RECIPE)["weight_decay"]
        for extent in (ENGLISH, CHINESE)
    )
    assert chinese > english


def test_a_small_text_is_read_more_often_and_a_large_one_once() -> None:
    assert default_passes(10_000, RECIPE) == default_passes(40_000, RECIPE) == 20
    assert default_passes(1_000_000, RECIPE) == 10
    assert default_passes(10**9, RECIPE) == 1


@pytest.mark.parametrize("vocab_size", [66, 1000])
def test_what_is_chosen_comes_before_what_suits(vocab_size: int) -> None:
    chosen = {"lr": 0.5, "weight_decay": 0.25, "seq_length": 7, "batch_size": 3, "dropout": 0.0}
    training = training_of("small", chosen, Extent(vocab_size, 6_000, 6_000))
    assert {name: getattr(training, name) for name in chosen} == chosen


def training_of(preset: str, given: dict[str, Any], extent: Extent) -> TrainConfig:
    return choose_training(PRESETS[preset], given, extent, network(), RECIPE)


SHORT = Extent(1000, 6_000, 6_000)


def test_dropout_that_is_chosen_stands_alone() -> None:
    constant = training_of("small", {"dropout": 0.1}, SHORT)
    growing = training_of("small", {"dropout_growth": 0.1}, SHORT)
    assert (constant.dropout, constant.dropout_growth) == (0.1, 0.0)
    assert (growing.dropout, growing.dropout_growth) == (0.0, 0.1)


@pytest.mark.parametrize("preset", ["small", "tiny"])
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_weights_decay_by_adamw_unless_that_is_chosen(preset: str, optimizer: str) -> None:
    adamw = training_of(preset, {}, SHORT)
    other = training_of(preset, {"optimizer": optimizer}, SHORT)
    chosen = training_of(preset, {"optimizer": optimizer, "weight_decay": 0.25}, SHORT)
    assert adamw.weight_decay > other.weight_decay == 0
    assert chosen.weight_decay == 0.25


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("extent", [ENGLISH, CHINESE, SHORT])
@pytest.mark.parametrize("cell", CELLS)
def test_every_preset_suits_every_cell(preset: str, extent: Extent, cell: str) -> None:
    model = choose_model(PRESETS[preset], {"cell": cell, "num_layers": 1}, extent, RECIPE)
    check(model, training_of(preset, {}, extent))
    assert isinstance(model, ModelConfig)


def test_weights_that_suit_tied_are_not_where_they_cannot_be() -> None:
    small = PRESETS["small"]
    assert choose_model(small, {}, CHINESE, RECIPE).tie_weights
    for given in ({"cell": "jordan"}, {"embedding_size": 0}, {"tie_weights": False}):
        assert not choose_model(small, given, CHINESE, RECIPE).tie_weights


def test_a_recipe_decides() -> None:
    other = Recipe(large_vocabulary=60, lr=(1.0, 0.5), embedding_size=(8, 9))
    assert suited_model(ENGLISH, other) == {"embedding_size": 9, "tie_weights": True}
    assert suited_training(ENGLISH, network(), ADAMW, other)["lr"] == 0.5
