"""Backpropagation in the three-layer network, as the textbook has it, in NumPy.

Training doesn't use this module. It writes out, in float64 and with one line per equation, what
automatic differentiation does to the cell ``feedforward`` with sigmoid units; tests compare the
two. ``bptt`` does the same for a network that feeds its state back.

Letters: i counts inputs, j hidden units, k outputs; N patterns with inputs x_i and desired outputs
d_k. Forwards, with σ(a) = 1 / (1 + e^(−a)):

    o_j = σ(Σ_i u_ij x_i + b_j)
    o_k = σ(Σ_j v_jk o_j + c_k)     or, for probabilities, softmax of the same sums

Backwards, δ is the error of a unit before its non-linearity, ∂E/∂a, and σ′ = o (1 − o):

    E = ½ Σ_k (o_k − d_k)²          δ_k = (o_k − d_k) o_k (1 − o_k)
    E = −Σ_k d_k log o_k            δ_k = o_k − d_k
    in both                         δ_j = o_j (1 − o_j) Σ_k v_jk δ_k

    ∂E/∂v_jk = δ_k o_j    ∂E/∂c_k = δ_k    ∂E/∂u_ij = δ_j x_i    ∂E/∂b_j = δ_j

With squared error the factor o_k (1 − o_k) remains: an output that is wrong and sure of it, near 0
or 1, hardly learns. Softmax with cross-entropy, for desired outputs that sum to 1, cancels it, and
is what the language models here are trained with.

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors",
Nature 323, 1986; the second error by Bridle, "Probabilistic interpretation of feedforward
classification network outputs", 1990.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Error = Literal["squared", "cross-entropy"]
"""With ``squared`` the outputs are sigmoid, with ``cross-entropy`` softmax."""


@dataclass(frozen=True)
class Weights:
    """The network's weights, or the gradient of E for each of them.

    Attributes:
        u: input to hidden, (I, J).
        b: biases of the hidden units, (J,).
        v: hidden to output, (J, K).
        c: biases of the outputs, (K,).
    """

    u: Array
    b: Array
    v: Array
    c: Array


@dataclass(frozen=True)
class Pass:
    """The result of a forward pass.

    Attributes:
        hidden: o_j of each pattern, (N, J).
        output: o_k of each pattern, (N, K).
        error: E, summed over the patterns; cross-entropy in nats.
    """

    hidden: Array
    output: Array
    error: float


def forwards(weights: Weights, x: Array, d: Array, error: Error) -> Pass:
    """Show the network patterns x (N, I), and compare its outputs with those desired, d (N, K)."""
    o_j = _sigmoid(x @ weights.u + weights.b)
    a_k = o_j @ weights.v + weights.c
    if error == "squared":
        o_k = _sigmoid(a_k)
        return Pass(o_j, o_k, float(((o_k - d) ** 2).sum() / 2))
    a_k = a_k - a_k.max(axis=1, keepdims=True)
    log_o_k = a_k - np.log(np.exp(a_k).sum(axis=1, keepdims=True))
    return Pass(o_j, np.exp(log_o_k), float(-(d * log_o_k).sum()))


def backwards(weights: Weights, read: Pass, x: Array, d: Array, error: Error) -> Weights:
    """Compute the gradients of E, summed over the patterns.

    Args:
        weights: those of the forward pass.
        read: the result of the forward pass.
        x: its inputs, (N, I).
        d: the desired outputs, (N, K).
        error: as in the forward pass.
    """
    o_j, o_k = read.hidden, read.output
    delta_k = (o_k - d) * o_k * (1 - o_k) if error == "squared" else o_k - d
    delta_j = o_j * (1 - o_j) * (delta_k @ weights.v.T)
    return Weights(u=x.T @ delta_j, b=delta_j.sum(axis=0), v=o_j.T @ delta_k, c=delta_k.sum(axis=0))


def _sigmoid(a: Array) -> Array:
    o: Array = 1 / (1 + np.exp(-a))
    return o
