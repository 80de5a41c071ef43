from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from chargen.errors import CheckpointError
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
    ],
    ids=str,
)
def test_damaged_arrays_are_an_error(change: dict[str, Any]) -> None:
    arrays, facts = to_arrays(count(TEXT, 12, 2, newline=1))
    with pytest.raises(CheckpointError, match="counts are damaged"):
        from_arrays({**arrays, **change}, facts)
    swapped = arrays["pieces"].copy()
    swapped[:2] = swapped[1::-1]
    with pytest.raises(CheckpointError, match="out of order"):
        from_arrays({**arrays, "pieces": swapped}, facts)


@pytest.mark.parametrize("name", ["levels", "pieces", "continuations", "counts", "dropped"])
def test_missing_arrays_are_an_error(name: str) -> None:
    arrays, facts = to_arrays(count(TEXT, 12, 2, newline=1))
    del arrays[name]
    with pytest.raises(CheckpointError, match=name):
        from_arrays(arrays, facts)
    with pytest.raises(CheckpointError, match="size"):
        from_arrays(arrays, {})
