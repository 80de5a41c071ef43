from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from chargen.ngrams import frequencies, neighbour_information, piece_counts


def test_pieces_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frequencies, "_COUNTED_AT_ONCE", 3)
    assert piece_counts(np.array([1, 1, 4, 0, 1, 4, 4], np.uint16), 6).tolist() == [
        1,
        3,
        0,
        0,
        3,
        0,
    ]
    assert piece_counts(np.zeros(0, np.uint16), 2).tolist() == [0, 0]


def test_neighbours_are_those_that_chance_does_not_explain() -> None:
    ids, size = np.random.default_rng(0).integers(0, 9, 200) ** 2 % 17, 18
    n, pairs = np.zeros(size), np.zeros((size, size))
    for x in ids:
        n[x] += 1
    for x, y in pairwise(ids):
        pairs[x, y] += 1
    wanted = np.maximum(0, np.log((pairs + 0.5) / (np.outer(n, n) / len(ids) + 0.5)))
    wanted[pairs == 0] = 0
    found = neighbour_information(ids.astype(np.uint16), size)
    M = np.zeros((size, size))
    M[found.left, found.right] = found.information
    assert_allclose(M, wanted)
    assert (found.information > 0).all()


def test_a_text_without_neighbours_has_no_information() -> None:
    for ids in (np.zeros(0, np.uint16), np.zeros(50, np.uint16), np.zeros(1, np.uint16)):
        assert len(neighbour_information(ids, 2).information) == 0
