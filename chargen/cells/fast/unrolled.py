"""What the hand-written passes through time share.

Automatic differentiation would add to ∂L/∂W at every time step. A hand-written backward pass
collects the errors δ_t in one array and multiplies once: ∂L/∂W = Σ_t δ_t s_{t−1}ᵀ.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def history(first: Tensor, steps: int) -> Tensor:
    """Allocate a state (B, H) before and after each of T steps, (T + 1, B, H); set the first."""
    states = first.new_empty(steps + 1, *first.shape)
    states[0] = first
    return states


def forwards(*arrays: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Iterate over the time steps of arrays (T, …), from first to last."""
    return zip(*(array.unbind() for array in arrays), strict=True)


def backwards(*arrays: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Iterate over the time steps of arrays (T, …), from last to first."""
    return reversed(list(forwards(*arrays)))


def weight_gradient(delta: Tensor, before: Tensor) -> Tensor:
    """Compute Σ_t δ_t s_{t−1}ᵀ over all rows: δ (T, B, G) and s (T, B, H) to (G, H)."""
    return delta.flatten(0, 1).T @ before.flatten(0, 1)


def sigmoid_backward(grad: Tensor, value: Tensor, out: Tensor) -> Tensor:
    """Write ∂L/∂a into ``out`` and return it, given ∂L/∂σ(a) and σ(a)."""
    return torch.ops.aten.sigmoid_backward.grad_input(grad, value, grad_input=out)  # type: ignore[no-any-return]


def tanh_backward(grad: Tensor, value: Tensor, out: Tensor) -> Tensor:
    """Write ∂L/∂a into ``out`` and return it, given ∂L/∂tanh(a) and tanh(a)."""
    return torch.ops.aten.tanh_backward.grad_input(grad, value, grad_input=out)  # type: ignore[no-any-return]


def relu_backward(grad: Tensor, value: Tensor, out: Tensor) -> Tensor:
    """Write ∂L/∂a into ``out`` and return it, given ∂L/∂relu(a) and relu(a)."""
    return torch.ops.aten.threshold_backward.grad_input(grad, value, 0, grad_input=out)  # type: ignore[no-any-return]
