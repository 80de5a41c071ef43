from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from chargen.ngrams import (
    KneserNey,
    choose_drop,
    count,
    counting,
    leave_one_out,
    score,
    states_before,
    without_singletons,
)
from tests.ngrams.reference import Reference
from tests.ngrams.test_model import random_text


def recounted(
    texts: list[list[int]], model: KneserNey, newline: int, drop: int = 0
) -> list[list[float]]:
    """P_n of each position by counting the texts again without it."""
    fixed = (model.size, model.order, newline)
    return [
        [
            Reference(texts, *fixed, (n, t), model.discounts.tolist(), drop).at(t, n)
            for t in range(len(text))
        ]
        for n, text in enumerate(texts)
    ]


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.integers(0, 3), min_size=1, max_size=25),
    order=st.integers(1, 5),
    newline=st.integers(0, 4),
    drop=st.sampled_from([0, 2, 3, 5]),
)
def test_leaving_one_out_is_counting_without_it(
    text: list[int], order: int, newline: int, drop: int
) -> None:
    model = count(np.array(text, np.uint16), 5, order, newline)
    found = leave_one_out(model, np.array(text), drop_from=drop)
    (wanted,) = recounted([text], model, newline, drop)
    assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize(("order", "size"), [(3, 6), (6, 6), (9, 300), (3, 70_000)])
def test_leaving_one_out_works_in_parts(order: int, size: int, small_blocks: None) -> None:
    ids = random_text(60, size, 6)
    model = count(ids, size, order, newline=2)
    found = leave_one_out(model, ids)
    (wanted,) = recounted([ids.tolist()], model, 2)
    assert_allclose(found, wanted, rtol=1e-9)
    assert_allclose(leave_one_out(model, ids, 13, 41), found[13:41], rtol=1e-12)
    assert leave_one_out(model, ids, 60).shape == (0,)


def test_of_a_long_text_stretches_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MOST_BITS", 3 * 60)
    monkeypatch.setattr(counting, "_STRETCHES", 3)
    ids = random_text(100, 6, 6)
    assert counting.stretches(60, 6) == [(0, 60)]
    parts = counting.stretches(100, 6)
    assert parts == [(0, 20), (33, 53), (66, 86)]
    model = count(ids, 6, 4, newline=2)
    found = leave_one_out(model, ids)
    between = np.ones(100, bool)
    wanted = recounted([ids[start:stop].tolist() for start, stop in parts], model, 2)
    for (start, stop), each in zip(parts, wanted, strict=True):
        assert_allclose(found[start:stop], each, rtol=1e-9)
        between[start:stop] = False
    assert_array_equal(found[between], score(model, ids)[between])
    assert_array_equal(leave_one_out(model, ids, 15, 70), found[15:70])
    assert choose_drop(model, ids) in (0, 3, 4)


def test_leaving_one_out_needs_everything_counted() -> None:
    ids = random_text(60, 6, 6)
    smaller = without_singletons(count(ids, 6, 4, newline=2), 3)
    with pytest.raises(ValueError, match="whole model"):
        leave_one_out(smaller, ids)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_states_before_positions_are_those_of_reading_up_to_them(order: int) -> None:
    text = np.random.default_rng(0).integers(4, size=60)
    model = count(text, 5, order, newline=4)
    state = model.advance(model.initial_state(1), np.array([4]))
    wanted = []
    for piece in text:
        wanted.append(state[0])
        state = model.advance(state, np.array([piece]))
    places = np.array([7, 0, 59, 1, 2, 7, 3])
    assert_array_equal(states_before(model, text, places), np.array(wanted)[places])
