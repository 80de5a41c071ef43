"""The equations written out by hand, against automatic differentiation of the cell ``rnn``."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from chargen.cells.bptt import Weights, backwards, forwards
from chargen.network.model import CharModel
from tests.support import small_model

T, V = 9, 7
RNG = np.random.default_rng(0)
IDS, TARGETS = RNG.integers(V, size=T), RNG.integers(V, size=T)


@pytest.fixture
def model() -> CharModel:
    return small_model(V, cell="rnn", embedding_size=0, hidden_size=6)


def in_order(model: CharModel) -> list[torch.Tensor]:
    """U (as the table, a row a character), W, b, V, c."""
    (cell,) = model.cells
    found = [model.table, cell.W, cell.b, model.V, model.c]
    return [each for each in found if isinstance(each, torch.Tensor)]


def weights_of(model: CharModel) -> Weights:
    U, *others = (tensor.detach().numpy() for tensor in in_order(model))
    return Weights(U.T, *others)


def losses(model: CharModel, first: int, end: int, state: torch.Tensor) -> torch.Tensor:
    """L of the time steps from ``first`` to ``end`` − 1, each."""
    ids = torch.from_numpy(IDS[first:end])[:, None]
    s, _ = model(ids, ((state[None],),))
    targets = torch.from_numpy(TARGETS[first:end])
    return torch.nn.functional.cross_entropy(model.logits(s[:, 0]), targets, reduction="none")


def assert_gradients(found: Weights, expected: tuple[torch.Tensor, ...]) -> None:
    U, *others = (tensor.numpy() for tensor in expected)
    for one, other in zip(astuple(found), (U.T, *others), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def state_before() -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=6)


def test_forwards_is_the_model(model: CharModel) -> None:
    read = forwards(weights_of(model), IDS, TARGETS, state_before())
    loss = losses(model, 0, T, torch.from_numpy(state_before())).sum()
    assert read.loss == pytest.approx(float(loss.detach()), rel=1e-12)
    np.testing.assert_allclose(read.o.sum(axis=1), 1)


def test_full_backpropagation_is_autograd(model: CharModel) -> None:
    weights = weights_of(model)
    read = forwards(weights, IDS, TARGETS, state_before())
    loss = losses(model, 0, T, torch.from_numpy(state_before())).sum()
    expected = torch.autograd.grad(loss, in_order(model))
    assert_gradients(backwards(weights, read, IDS, TARGETS), expected)
    assert_gradients(backwards(weights, read, IDS, TARGETS, truncation=T), expected)


@pytest.mark.parametrize("truncation", [1, 2, 4])
def test_truncated_backpropagation_is_autograd_on_a_cut_graph(
    model: CharModel, truncation: int
) -> None:
    weights = weights_of(model)
    read = forwards(weights, IDS, TARGETS, state_before())
    total = torch.zeros((), dtype=torch.float64)
    for t in range(T):
        first = max(0, t + 1 - truncation)
        total = total + losses(model, first, t + 1, torch.from_numpy(read.s[first]))[-1]
    expected = torch.autograd.grad(total, in_order(model))
    assert_gradients(backwards(weights, read, IDS, TARGETS, truncation), expected)


def test_truncation_loses_something(model: CharModel) -> None:
    weights = weights_of(model)
    read = forwards(weights, IDS, TARGETS, state_before())
    full, short = (backwards(weights, read, IDS, TARGETS, n) for n in (None, 1))
    assert not np.allclose(full.W, short.W)
    np.testing.assert_array_equal(full.V, short.V)
