from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from chargen.ngrams import count, from_arrays, score, to_arrays, without_singletons
from tests.ngrams.test_model import random_text, states_along

TEXT = random_text(3000, 12, 8)


@pytest.mark.parametrize(("order", "size"), [(1, 12), (2, 12), (5, 12), (3, 70_000)])
@pytest.mark.parametrize("drop", [0, 2, 3])
def test_a_model_comes_back_from_its_arrays(order: int, size: int, drop: int) -> None:
    ids = random_text(3000, size, 8)
    model = count(ids, size, order, newline=1)
    if drop <= order:
        model = without_singletons(model, drop)
    arrays, facts = to_arrays(model)
    back = from_arrays(arrays, json.loads(json.dumps(facts)))
    assert (back.newline, back.size, back.dropped_from) == (1, size, model.dropped_from)
    for name in ("levels", "keys", "counts", "totals"):
        assert_array_equal(getattr(back.trie, name), getattr(model.trie, name))
    assert_array_equal(score(back, ids), score(model, ids))
    states = states_along(model, ids[:20])
    assert_array_equal(back.row(states), model.row(states))


def test_numbers_are_stored_compactly() -> None:
    model = count(TEXT, 12, 2, newline=1)
    arrays, _ = to_arrays(model)
    assert arrays["counts"].dtype == arrays["continuations"].dtype == np.uint8
    assert arrays["pieces"].dtype == np.uint16
    assert (arrays["counts"] == 255).sum() == len(arrays["counts.large"]) > 0
    assert len(arrays["dropped"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"levels": np.array([0, 12])},
        {"levels": np.array([0, 11, 40])},
        {"pieces": np.zeros(3, np.uint16)},
        {"counts": np.zeros(3, np.uint8)},
        {"counts.large": np.zeros(0, np.uint32)},
        {"discounts": np.zeros((3, 4))},
        {"discounts": np.full((2, 4), -0.1)},
        {"discounts": np.full((2, 4), np.nan)},
        {"levels": np.zeros(0, np.int64)},
        {"levels": np.array([0, 12, 2**62])},
        {"continuations": np.full(12, 9, np.uint8)},
        {"dropped": np.ones(2, np.uint8)},
        {"counts.large": np.full(1000, 1, np.uint32)},
    ],
    ids=str,
)
def test_damaged_arrays_are_an_error(change: dict[str, Any]) -> None:
    arrays, facts = to_arrays(count(TEXT, 12, 2, newline=1))
    with pytest.raises(ValueError, match=r"^its "):
        from_arrays({**arrays, **change}, facts)
    swapped = arrays["pieces"].copy()
    swapped[:2] = swapped[1::-1]
    with pytest.raises(ValueError, match="out of order"):
        from_arrays({**arrays, "pieces": swapped}, facts)


@pytest.mark.parametrize("name", ["levels", "pieces", "continuations", "counts", "dropped"])
def test_missing_arrays_are_an_error(name: str) -> None:
    arrays, facts = to_arrays(count(TEXT, 12, 2, newline=1))
    del arrays[name]
    with pytest.raises(KeyError, match=name):
        from_arrays(arrays, facts)
    with pytest.raises(KeyError, match="size"):
        from_arrays(arrays, {})


@pytest.mark.parametrize("facts", [{"newline": 12}, {"newline": -1}, {"dropped_from": 3}])
def test_impossible_facts_are_an_error(facts: dict[str, int]) -> None:
    arrays, known = to_arrays(count(TEXT, 12, 2, newline=1))
    with pytest.raises(ValueError, match=r"impossible|can't be dropped"):
        from_arrays(arrays, {**known, **facts})


def test_counts_that_exceed_32_bits_together_are_an_error() -> None:
    arrays, facts = to_arrays(count(TEXT, 12, 2, newline=1))
    large = np.full_like(arrays["counts.large"], (1 << 32) - 1)
    with pytest.raises(ValueError, match="too large"):
        from_arrays({**arrays, "counts.large": large}, facts)
