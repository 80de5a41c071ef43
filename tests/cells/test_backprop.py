"""Backpropagation by hand, against automatic differentiation and the textbook's single numbers."""

from __future__ import annotations

from dataclasses import astuple
from itertools import product

import numpy as np
import pytest
import torch

from chargen.cells.backprop import Error, Weights, backwards, forwards
from tests.support import small_model

N, I, J, K = 5, 4, 6, 3  # noqa: E741 — the letters of the equations
RNG = np.random.default_rng(0)
X, D = RNG.normal(size=(N, I)), RNG.uniform(size=(N, K))
each_error = pytest.mark.parametrize("error", ["squared", "cross-entropy"])


def some_weights() -> Weights:
    rng = np.random.default_rng(1)
    return Weights(*(rng.normal(size=size) for size in ((I, J), (J,), (J, K), (K,))))


def desired(error: Error) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return D if error == "squared" else D / D.sum(axis=1, keepdims=True)


@each_error
def test_gradients_are_those_of_autograd(error: Error) -> None:
    weights, d = some_weights(), desired(error)
    read = forwards(weights, X, d, error)
    u, b, v, c = leaves = [torch.tensor(each, requires_grad=True) for each in astuple(weights)]
    a = torch.sigmoid(torch.from_numpy(X) @ u + b) @ v + c
    wanted = torch.from_numpy(d)
    if error == "squared":
        total = 0.5 * (torch.sigmoid(a) - wanted).square().sum()
    else:
        total = torch.nn.functional.cross_entropy(a, wanted, reduction="sum")
    assert read.error == pytest.approx(float(total.detach()), rel=1e-12)
    for found, its in zip(
        astuple(backwards(weights, read, X, d, error)),
        torch.autograd.grad(total, leaves),
        strict=True,
    ):
        np.testing.assert_allclose(found, its.numpy(), rtol=1e-10, atol=1e-13)


def test_each_gradient_is_the_textbooks() -> None:
    """∂E/∂v_jk = (o_k − d_k) o_k (1 − o_k) o_j, and ∂E/∂u_ij likewise, for one pattern."""
    weights, x, d = some_weights(), X[0], D[0]
    read = forwards(weights, x[None], d[None], "squared")
    o_j, o_k = read.hidden[0], read.output[0]
    found = backwards(weights, read, x[None], d[None], "squared")
    errors = [(o_k[k] - d[k]) * o_k[k] * (1 - o_k[k]) for k in range(K)]
    for j, k in product(range(J), range(K)):
        assert found.v[j, k] == pytest.approx(errors[k] * o_j[j], rel=1e-12)
    for i, j in product(range(I), range(J)):
        back = sum(errors[k] * weights.v[j, k] for k in range(K))
        assert found.u[i, j] == pytest.approx(back * o_j[j] * (1 - o_j[j]) * x[i], rel=1e-12)


def test_with_softmax_it_is_the_cell_of_the_language_model() -> None:
    model = small_model(
        K, cell="feedforward", activation="sigmoid", embedding_size=0, hidden_size=J
    )
    (cell,) = model.cells
    tensors = [each for each in (model.table, cell.b, model.V, model.c) if each is not None]
    u, b, V, c = (tensor.detach().numpy() for tensor in tensors)
    weights, ids, targets = Weights(u, b, V.T, c), [0, 2, 1, 1, 0], [2, 1, 1, 0, 2]
    x, d = np.eye(K)[ids], np.eye(K)[targets]
    read = forwards(weights, x, d, "cross-entropy")
    found = backwards(weights, read, x, d, "cross-entropy")
    loss, _ = model.loss(
        torch.tensor(ids)[:, None], torch.tensor(targets)[:, None], model.initial_state(1)
    )
    assert read.error == pytest.approx(N * float(loss.detach()), rel=1e-12)
    at_u, at_b, at_V, at_c = (N * grad.numpy() for grad in torch.autograd.grad(loss, tensors))
    for one, other in zip(astuple(found), (at_u, at_b, at_V.T, at_c), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)


def test_a_sure_and_wrong_output_learns_from_cross_entropy_alone() -> None:
    sure = Weights(np.zeros((I, J)), np.zeros(J), np.zeros((J, 2)), np.array([20.0, -20.0]))
    d = np.array([[0.0, 1.0]])
    sizes: dict[Error, float] = {"squared": 0.0, "cross-entropy": 0.0}
    for error in sizes:
        read = forwards(sure, X[:1], d, error)
        sizes[error] = float(np.abs(backwards(sure, read, X[:1], d, error).c).max())
    assert sizes["squared"] < 1e-8
    assert sizes["cross-entropy"] == pytest.approx(1)
