"""The length of n-grams that suits a text."""

from __future__ import annotations

import numpy as np
import pytest

from chargen.ngrams import choose_order


def random_text(count: int, size: int, seed: int = 1) -> np.ndarray:
    """Pieces drawn one by one: longer n-grams tell nothing more."""
    return np.random.default_rng(seed).integers(0, size, count)


def repeated_text(count: int, seed: int = 1) -> np.ndarray:
    """Long passages out of a small stock, again and again, as in source code."""
    draw = np.random.default_rng(seed)
    stock = [draw.integers(0, 60, draw.integers(40, 90)) for _ in range(120)]
    shared = draw.integers(
        0, 60, 10
    )  # which each passage contains, so that eight pieces don't tell
    passages = [np.concatenate([each[:20], shared, each[20:]]) for each in stock]
    return np.concatenate([passages[n] for n in draw.integers(0, len(stock), count // 70)])


@pytest.mark.parametrize(("size", "order"), [(1, 8), (256, 8), (257, 6), (2000, 6), (2001, 5)])
def test_the_vocabulary_decides_where_there_is_no_text(size: int, order: int) -> None:
    assert choose_order(size) == order


def test_a_text_that_repeats_itself_gets_longer_n_grams() -> None:
    assert choose_order(60, repeated_text(60_000)) == 16
    assert choose_order(60, random_text(60_000, 60)) == 8


def test_a_short_text_and_a_larger_vocabulary_are_not_looked_at() -> None:
    assert choose_order(60, repeated_text(20_000)) == 8
    assert choose_order(3000, repeated_text(60_000)) == 5
