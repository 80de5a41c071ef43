from __future__ import annotations

import pytest

from chargen.training.presets import Extent, default_epochs, suited_model, suited_training

ENGLISH, CHINESE = (Extent(size, 1_000_000, 1_000_000) for size in (66, 3257))
ADAMW = {"optimizer": "adamw", "batch_size": 32, "seq_length": 64}


def test_a_large_vocabulary_shares_its_table() -> None:
    assert suited_model(ENGLISH)["tie_weights"] is False
    assert suited_model(CHINESE)["tie_weights"] is True
    assert suited_model(CHINESE)["embedding_size"] > suited_model(ENGLISH)["embedding_size"]


def test_four_times_the_width_halves_the_rate() -> None:
    one, four = (suited_training(CHINESE, hidden, ADAMW)["lr"] for hidden in (256, 1024))
    assert four == pytest.approx(one / 2)


def test_a_quarter_of_the_batch_halves_the_rate() -> None:
    one, quarter = (
        suited_training(ENGLISH, 256, {**ADAMW, "batch_size": size})["lr"] for size in (32, 8)
    )
    assert quarter == pytest.approx(one / 2, rel=1e-3)


def test_a_batch_of_twice_the_size_leaves_the_rate() -> None:
    rates = {suited_training(ENGLISH, 256, {**ADAMW, "batch_size": n})["lr"] for n in (32, 64)}
    assert len(rates) == 1


@pytest.mark.parametrize(("vocabulary", "more"), [(66, 0.02), (3000, 0.05)])
def test_dropout_grows_faster_on_less_text(vocabulary: int, more: float) -> None:
    sizes = (100_000_000, 1_000_000, 250_000, 80_000)
    growth = [
        suited_training(Extent(vocabulary, n, n), 256, ADAMW)["dropout_growth"] for n in sizes
    ]
    assert growth[0] == 0
    assert growth == sorted(growth)
    assert growth[2] == pytest.approx(growth[1] + more)


def test_a_short_text_of_many_characters_has_the_more_dropout_the_smaller_it_is() -> None:
    suited = [suited_training(Extent(1000, n, n), 256, ADAMW) for n in (50_000, 25_000, 6_000, 600)]
    shares = [training["dropout"] for training in suited]
    assert shares[:2] == [0.58, 0.66]
    assert shares[2:] == [0.8, 0.8]
    assert not any("dropout_growth" in training for training in suited)


def test_dropout_grows_faster_with_rare_characters() -> None:
    english, chinese = (
        suited_training(e, 256, ADAMW)["dropout_growth"] for e in (ENGLISH, CHINESE)
    )
    assert chinese > english


def test_a_large_vocabulary_decays_faster() -> None:
    english, chinese = (
        suited_training(extent, 256, ADAMW)["weight_decay"] for extent in (ENGLISH, CHINESE)
    )
    assert chinese > english


def test_a_small_text_is_read_more_often_and_a_large_one_once() -> None:
    assert default_epochs(10_000) == default_epochs(40_000) == 20
    assert default_epochs(1_000_000) == 10
    assert default_epochs(10**9) == 1
