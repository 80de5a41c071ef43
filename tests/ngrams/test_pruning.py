from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from chargen.ngrams import choose_drop, count, score, to_arrays, without_singletons
from tests.ngrams.reference import Reference
from tests.ngrams.test_model import random_text, states_along


@pytest.mark.parametrize("order", [3, 5])
@pytest.mark.parametrize("drop", [2, 3])
def test_dropped_probability_goes_to_the_backoff(order: int, drop: int) -> None:
    ids, other = random_text(150, 9, 6), random_text(60, 9, 8, seed=1)
    whole = count(ids, 9, order, newline=1)
    model = without_singletons(whole, drop)
    assert model.trie.levels[-1] < whole.trie.levels[-1]
    reference = Reference([ids.tolist()], 9, order, newline=1, drop_from=drop)
    stream = (1, *other.tolist())
    wanted = [reference.p(stream[t + 1], stream[: t + 1]) for t in range(60)]
    assert_allclose(score(model, other), wanted, rtol=1e-12)
    states = states_along(model, other)
    rows = model.row(states)
    assert_allclose(rows.sum(1), 1, rtol=1e-5)
    assert rows.min() > 0
    assert_allclose(rows[np.arange(60), other], wanted, rtol=1e-5)


def test_dropping_nothing_is_the_same_model() -> None:
    model = count(random_text(50, 4), 4, 3, newline=1)
    assert without_singletons(model, 0) is model


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_tiny_texts_can_lose_their_singletons(length: int) -> None:
    ids = np.full(length, 2, np.uint16)
    whole = count(ids, 3, 4, newline=0)
    model = without_singletons(whole, choose_drop(whole, ids))
    state = model.advance(model.initial_state(2), np.array([0, 2]))
    assert_allclose(model.row(state).sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("drop", [1, 4])
def test_lengths_out_of_range_are_refused(drop: int) -> None:
    model = count(random_text(50, 4), 4, 3, newline=1)
    with pytest.raises(ValueError, match="can't drop"):
        without_singletons(model, drop)


def test_dropping_in_two_steps_is_dropping_at_once() -> None:
    whole = count(random_text(400, 9, 6), 9, 5, newline=1)
    at_once = without_singletons(whole, 2)
    for first in (5, 4, 3):
        model = without_singletons(without_singletons(whole, first), 2)
        for name, array in to_arrays(model)[0].items():
            assert_array_equal(array, to_arrays(at_once)[0][name])
    assert without_singletons(at_once, 3) is at_once


def test_singletons_of_chance_are_dropped_and_those_of_repetition_kept() -> None:
    rng = np.random.default_rng(0)
    chance = rng.integers(0, 12, 4000).astype(np.uint16)
    assert choose_drop(count(chance, 12, 5, newline=0), chance) in (3, 4)
    twice = np.tile(rng.integers(0, 200, 2000), 2).astype(np.uint16)
    assert choose_drop(count(twice, 200, 5, newline=0), twice) == 0
    assert choose_drop(count(chance, 12, 2, newline=0), chance) == 0
