"""The equations of the simple recurrent network, forwards and backwards through time, in NumPy.

Training doesn't use this module. It writes out, in float64 and with one line per equation, what
automatic differentiation does to the cell ``rnn``; tests compare the two.

Letters: T time steps, |V| pieces, H units. x_t is the one-hot vector of the piece ``ids[t]``, and
``targets[t]`` is the piece that follows it.

Forwards, from a given s_0:

    a_t = U x_t + W s_{t−1} + b
    s_t = tanh(a_t)
    o_t = softmax(V s_t + c)
    L_t = −log o_t[target_t],   L = Σ_t L_t

Backwards: softmax and cross-entropy together give ∂L_t/∂(V s_t + c) = o_t − y_t, where y_t is
the one-hot vector of the target. The error goes on to s_t, through tanh, and to the step before:

    δ_t^(t)     = Vᵀ(o_t − y_t) ⊙ (1 − s_t²)     the error of L_t at a_t
    δ_{k−1}^(t) = Wᵀ δ_k^(t) ⊙ (1 − s_{k−1}²)    the same error one step earlier

Every step that an error passes adds to the gradients:

    ∂L/∂V = Σ_t (o_t − y_t) s_tᵀ        ∂L/∂c = Σ_t (o_t − y_t)
    ∂L/∂W = Σ_t Σ_k δ_k^(t) s_{k−1}ᵀ    ∂L/∂U = Σ_t Σ_k δ_k^(t) x_kᵀ    ∂L/∂b = Σ_t Σ_k δ_k^(t)

In full backpropagation through time, k runs from t down to 1. Truncated after n steps, it stops
at k = t − n + 1: each error passes at most n steps, which is cheaper, and ignores what lies
further back. Where nothing is cut off, the errors of all L_t that meet at a step can go on
together, δ_k = (Vᵀ(o_k − y_k) + Wᵀδ_{k+1}) ⊙ (1 − s_k²), in one pass instead of T. The cells do
this in training.

Source: Rumelhart, Hinton and Williams, "Learning internal representations by error propagation",
1986; Werbos, "Backpropagation through time: what it does and how to do it", 1990; truncation
after Williams and Peng, 1990.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """The network's weights, or the gradient of L for each of them.

    Attributes:
        U: input to hidden, (H, |V|).
        W: hidden to hidden, (H, H).
        b: biases of the hidden units, (H,).
        V: hidden to output, (|V|, H).
        c: biases of the output, (|V|,).
    """

    U: Array
    W: Array
    b: Array
    V: Array
    c: Array


@dataclass(frozen=True)
class Pass:
    """The result of a forward pass over a text.

    Attributes:
        s: states, (T + 1, H); the first is the one given.
        o: predictions, (T, |V|); each row is a softmax.
        loss: L, summed over time, in nats.
    """

    s: Array
    o: Array
    loss: float


def forwards(
    weights: Weights, ids: NDArray[np.int64], targets: NDArray[np.int64], s_0: Array
) -> Pass:
    """Read ``ids`` (T,) from the state ``s_0`` (H,), and predict ``targets`` (T,)."""
    U, W, b, V, c = weights.U, weights.W, weights.b, weights.V, weights.c
    s = np.empty((len(ids) + 1, len(b)))
    o = np.empty((len(ids), len(c)))
    s[0] = s_0
    for t, (x, _) in enumerate(zip(ids, targets, strict=True), start=1):
        s[t] = np.tanh(U[:, x] + W @ s[t - 1] + b)
        o[t - 1] = _softmax(V @ s[t] + c)
    loss = -np.log(o[np.arange(len(ids)), targets]).sum()
    return Pass(s, o, float(loss))


def backwards(
    weights: Weights,
    read: Pass,
    ids: NDArray[np.int64],
    targets: NDArray[np.int64],
    truncation: int | None = None,
) -> Weights:
    """Compute the gradients of L = Σ_t L_t.

    Args:
        weights: those of the forward pass.
        read: the result of the forward pass.
        ids: what it read, (T,).
        targets: what it should have predicted, (T,).
        truncation: n, the most steps that the error of each L_t passes; None for all.
    """
    s, W = read.s, weights.W
    at = Weights(*(np.zeros_like(each) for each in (weights.U, W, weights.b, weights.V, weights.c)))
    for t in range(1, len(ids) + 1):
        error = read.o[t - 1] - _one_hot(targets[t - 1], len(weights.c))
        at.V[:] += np.outer(error, s[t])
        at.c[:] += error
        back = weights.V.T @ error
        last = 0 if truncation is None else max(0, t - truncation)
        for k in range(t, last, -1):
            delta = back * (1 - s[k] ** 2)
            at.W[:] += np.outer(delta, s[k - 1])
            at.U[:, ids[k - 1]] += delta
            at.b[:] += delta
            back = W.T @ delta
    return at


def _softmax(logits: Array) -> Array:
    exp: Array = np.exp(logits - logits.max())
    o: Array = exp / exp.sum()
    return o


def _one_hot(piece: int, size: int) -> Array:
    y = np.zeros(size)
    y[piece] = 1
    return y
