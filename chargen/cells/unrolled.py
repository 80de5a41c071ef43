"""What the cells' hand-written passes through time share.

Going backwards, autograd would add to ∂L/∂W at every time step. A hand-written pass collects the
errors δ_t in one array instead, and multiplies once: ∂L/∂W = Σ_t δ_t s_{t−1}ᵀ.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def history(first: Tensor, steps: int) -> Tensor:
    """Room for a state (B, H) before and after each of T steps, (T + 1, B, H); the first is set."""
    states = first.new_empty(steps + 1, *first.shape)
    states[0] = first
    return states


def forwards(*arrays: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Of arrays (T, …), what belongs to each time step, the first one first."""
    return zip(*(array.unbind() for array in arrays), strict=True)


def backwards(*arrays: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Of arrays (T, …), what belongs to each time step, the last one first."""
    return reversed(list(forwards(*arrays)))


def weight_gradient(delta: Tensor, before: Tensor) -> Tensor:
    """Σ_t δ_t s_{t−1}ᵀ over all rows: δ (T, B, G) and s (T, B, H) to (G, H)."""
    return delta.flatten(0, 1).T @ before.flatten(0, 1)


def sigmoid_backward(grad: Tensor, value: Tensor, out: Tensor) -> Tensor:
    """∂L/∂a, given ∂L/∂σ(a) and σ(a), written into ``out``, which it returns."""
    return torch.ops.aten.sigmoid_backward.grad_input(grad, value, grad_input=out)  # type: ignore[no-any-return]


def tanh_backward(grad: Tensor, value: Tensor, out: Tensor) -> Tensor:
    """The same for tanh(a)."""
    return torch.ops.aten.tanh_backward.grad_input(grad, value, grad_input=out)  # type: ignore[no-any-return]


def relu_backward(grad: Tensor, value: Tensor, out: Tensor) -> Tensor:
    """The same for max(a, 0)."""
    return torch.ops.aten.threshold_backward.grad_input(grad, value, 0, grad_input=out)  # type: ignore[no-any-return]
