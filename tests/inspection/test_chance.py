"""Which correlations chance would give."""

from __future__ import annotations

import numpy as np
import pytest

from chargen.inspection.chance import COUNT, shuffled_orders
from chargen.inspection.neurons import Followed, _Sums


def followed(tracks: dict[str, np.ndarray], units: np.ndarray) -> dict[str, Followed]:
    """What units (N, H) follow, read in chunks."""
    sums = _Sums(tracks)
    for first in range(0, len(units), 100):
        sums.add(first, units[first : first + 100])
    return {each.name: each for each in sums.followed()}


def smooth(random: np.random.Generator, length: int, units: int) -> np.ndarray:
    """Noise that changes slowly, as activations do: it correlates with anything slow."""
    noise = random.standard_normal((length + 20, units))
    return np.stack([noise[n : n + 20].mean(axis=0) for n in range(length)])


def test_an_order_has_each_character_once_and_keeps_neighbours() -> None:
    orders = shuffled_orders(5000)
    assert orders.shape == (COUNT, 5000)
    for order in orders:
        assert sorted(order) == list(range(5000))
        assert 0.95 < np.mean(np.diff(order) == 1) < 1
    assert (shuffled_orders(5000) == orders).all()
    assert shuffled_orders(1).tolist() == [[0]] * COUNT


@pytest.mark.parametrize("period", [7, 12, 40])
def test_noise_follows_nothing_and_a_unit_with_a_signal_is_found(period: int) -> None:
    random = np.random.default_rng(period)
    line = np.arange(6000) % period * 1.0  # as regular as verse
    units = smooth(random, 6000, 64)
    (nothing,) = followed({"line": line}, units).values()
    assert len(nothing.units) <= 1  # once in twenty
    units[:, 5] += line / period * 0.2
    (found,) = followed({"line": line}, units).values()
    assert found.units[0] == 5
    expected = np.corrcoef(units[:, 5], line)[0, 1]
    assert found.correlations[0] == pytest.approx(expected)
    assert 0 < found.chance < expected


def test_noise_is_listed_once_in_twenty_texts() -> None:
    listed = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        slow = smooth(random, 3000, 1)[:, 0]
        (found,) = followed({"slow": slow}, smooth(random, 3000, 32)).values()
        listed += bool(found.units)
    assert listed <= 6  # 2 are expected; more than 6 have a chance of half a percent


def test_a_property_that_does_not_occur_is_told_from_one_that_nothing_follows() -> None:
    units = smooth(np.random.default_rng(0), 500, 4)
    found = followed({"never": np.zeros(500), "there": np.arange(500) % 9 * 1.0}, units)
    assert (found["never"].occurs, found["never"].units) == (False, ())
    assert found["there"].occurs
