from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from chargen.ngrams import KneserNey, automaton, choose_order, count, score, without_singletons
from chargen.ngrams.counting import Ids
from chargen.ngrams.trie import Entries
from tests.ngrams.reference import Reference

CASES = [(1, 3), (2, 3), (3, 2), (4, 4), (6, 3), (3, 70_000), (5, 4097), (9, 200)]
"""Orders and sizes: keys of one word, of two bytes a digit, of four."""


def random_text(length: int, size: int, distinct: int = 4, seed: int = 0) -> Ids:
    """Pieces of which some follow each other often, at both ends of the vocabulary."""
    rng = np.random.default_rng(seed)
    alphabet = np.unique(np.r_[: distinct // 2, size - distinct // 2 : size].clip(0, size - 1))
    ids = alphabet[(rng.random(length) ** 2 * len(alphabet)).astype(int)]
    ids[length // 2 :] = np.where(rng.random(length - length // 2) < 0.7, ids[: -(length // 2)], 0)
    return ids.astype(np.uint16 if size <= 1 << 16 else np.uint32)


def states_along(model: KneserNey, ids: Ids) -> Entries:
    """The state before each piece, (N, n − 1)."""
    state = model.advance(model.initial_state(1), np.array([model.newline]))
    states = [state]
    for piece in ids[:-1]:
        states.append(state := model.advance(state, np.array([piece])))
    return np.concatenate(states)


@pytest.mark.parametrize(("order", "size"), CASES)
def test_probabilities_are_those_of_the_formulas(order: int, size: int) -> None:
    ids, other = random_text(90, size), random_text(30, size, 6, seed=1)
    model = count(ids, size, order, newline=1)
    reference = Reference([ids.tolist()], size, order, newline=1)
    assert_allclose(model.discounts, reference.discounts)
    assert_allclose(score(model, ids), [reference.at(t) for t in range(90)], rtol=1e-12)
    stream = (1, *other.tolist())
    wanted = [reference.p(stream[t + 1], stream[: t + 1]) for t in range(30)]
    assert_allclose(score(model, other), wanted, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.integers(0, 3), max_size=40),
    other=st.lists(st.integers(0, 4), min_size=1, max_size=8),
    order=st.integers(1, 5),
    newline=st.integers(0, 4),
)
def test_any_small_text_agrees_with_the_formulas(
    text: list[int], other: list[int], order: int, newline: int
) -> None:
    model = count(np.array(text, np.uint16), 5, order, newline)
    reference = Reference([text], 5, order, newline)
    stream = (newline, *other)
    state = model.initial_state(1)
    for t, piece in enumerate(stream):
        state = model.advance(state, np.array([piece]))
        wanted = [reference.p(w, stream[: t + 1]) for w in range(5)]
        assert_allclose(model.row(state)[0], wanted, rtol=1e-5)
        assert sum(wanted) == pytest.approx(1)


@pytest.mark.parametrize(("order", "size"), CASES)
@pytest.mark.parametrize("table", [0, 10, 1 << 24])
def test_rows_are_distributions_and_agree_with_scores(
    order: int, size: int, table: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automaton, "_TABLE", table * min(size, 100))
    ids = random_text(60, size)
    model = count(ids, size, order, newline=1)
    states = states_along(model, ids)
    found = model.row(states)
    assert found.shape == (60, size)
    assert found.dtype == np.float32
    assert found.min() > 0
    assert_allclose(found.sum(1, dtype=np.float64), 1, rtol=1e-5)
    assert_allclose(found[np.arange(60), ids], score(model, ids), rtol=1e-5)


@pytest.mark.parametrize("table", [0, 40, 1 << 24])
def test_a_row_has_the_same_bits_whatever_is_beside_it(
    table: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automaton, "_TABLE", table)
    ids = random_text(300, 20, 8)
    model = count(ids, 20, 4, newline=3)
    states = np.concatenate([model.initial_state(1), states_along(model, ids)])
    together = model.row(states)
    order = np.random.default_rng(0).permutation(len(states))
    assert_array_equal(model.row(states[order]), together[order])
    for n in range(len(states)):
        assert_array_equal(model.row(states[n : n + 1])[0], together[n])
        row = np.zeros(model.tables.width, np.float32)
        (state,) = model.tables.states(states[n : n + 1]).tolist()
        model.tables.add_row(row, model.tables.record(state), np.float32(1))
        assert_array_equal(row[:20], together[n])
    assert_array_equal(model.advance(states[1:-1], ids[:-1]), states[2:])


@pytest.mark.parametrize("drop", [0, 2, 3])
@pytest.mark.parametrize(("order", "size"), [*CASES, (4, 20)])
@pytest.mark.parametrize("table", [0, 3, 1 << 24])
def test_single_states_follow_the_contexts(
    table: int, order: int, size: int, drop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automaton, "_TABLE", table * min(size, 100))
    model = count(random_text(300, size, 8), size, order, newline=1)
    model = without_singletons(model, drop if drop <= order else 0)
    tables, rng = model.tables, np.random.default_rng(1)
    contexts, states = model.initial_state(9), np.zeros(9, np.int64)
    for _ in range(60):
        pieces = rng.choice(np.r_[random_text(9, size, 8), rng.integers(size)], 9).astype(np.int64)
        pairs = zip(map(tables.record, states.tolist()), pieces.tolist(), strict=True)
        one_by_one = [tables.after_piece(*pair) for pair in pairs]
        states = tables.after(tables.parts(states), pieces)
        contexts = model.advance(contexts, pieces)
        assert_array_equal(states, tables.states(contexts))
        assert states.tolist() == one_by_one


def test_parts_make_the_same_model(small_blocks: None, tmp_path: Path) -> None:
    ids = random_text(200, 9, 6)
    ids.tofile(tmp_path / "ids")
    model = count(np.memmap(tmp_path / "ids", np.uint16, "r"), 9, 4, newline=0)
    reference = Reference([ids.tolist()], 9, 4, newline=0)
    assert_allclose(score(model, ids), [reference.at(t) for t in range(200)], rtol=1e-12)
    assert_allclose(score(model, ids, 33, 77), score(model, ids)[33:77], rtol=1e-14)


@pytest.mark.parametrize("text", [[], [2], [0], [2, 2], [0, 0], [1, 2], [2] * 50])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_tiny_texts_have_models(text: list[int], order: int) -> None:
    model = count(np.array(text, np.uint16), 3, order, newline=0)
    reference = Reference([text], 3, order, newline=0)
    assert_allclose(score(model, np.array(text, int)), [reference.at(t) for t in range(len(text))])
    state = model.advance(model.initial_state(2), np.array([0, 2]))
    assert_allclose(model.row(state).sum(1), 1, rtol=1e-6)
    if not text:
        assert_allclose(model.row(state), 1 / 3)


def test_the_context_of_the_first_piece_is_a_newline() -> None:
    model = count(np.array([1, 2, 1, 2, 0, 2]), 3, 3, newline=0)
    state = model.advance(model.initial_state(1), np.array([0]))
    assert model.row(state)[0].argmax() in (1, 2)
    assert model.initial_state(1).tolist() == [[-1, -1]]
    assert state.tolist() == [[0, -1]]


def test_smaller_vocabularies_have_longer_ngrams() -> None:
    assert [choose_order(size) for size in (1, 66, 256, 257, 1243, 3257, 65536)] == [
        *(8, 8, 8),
        *(6, 6),
        *(5, 5),
    ]
