"""Minimal gated networks, faster: all time steps of a window in parallel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chargen.cells.base import State
from chargen.cells.minimal import MinGRU, MinLSTM


class FastMinGRU(MinGRU):
    """``MinGRU`` in parallel over time."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = linear_recurrence(*self.decay_and_input(u), *state)
        return outputs, (outputs[-1],)


class FastMinLSTM(MinLSTM):
    """``MinLSTM`` in parallel over time."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = linear_recurrence(*self.decay_and_input(u), *state)
        return outputs, (outputs[-1],)


def linear_recurrence(a: Tensor, v: Tensor, h_0: Tensor) -> Tensor:
    """Compute h_t = a_t ⊙ h_{t−1} + v_t for all t: a, v (T, B, H) and h_0 (B, H) to (T, B, H)."""
    return _LinearRecurrence.apply(a, v, h_0)  # type: ignore[no-untyped-call, no-any-return]


class _LinearRecurrence(torch.autograd.Function):
    """Backwards, the same recurrence runs from the end: g_t = ∂L/∂h_t + a_{t+1} ⊙ g_{t+1}.

    Then ∂L/∂v_t = g_t, ∂L/∂a_t = g_t ⊙ h_{t−1}, and ∂L/∂h_0 = a_1 ⊙ g_1.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, v: Tensor, h_0: Tensor) -> Tensor:
        h = _by_pairs(a, v, h_0)
        ctx.save_for_backward(a, h, h_0)
        return h

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, h, h_0 = ctx.saved_tensors
        a_after = torch.cat([a[1:], torch.zeros_like(a[:1])])
        g = _by_pairs(a_after.flip(0), grad_h.flip(0), torch.zeros_like(h_0)).flip(0)
        return g * torch.cat([h_0[None], h[:-1]]), g, a[0] * g[0]


def _by_pairs(a: Tensor, v: Tensor, h_0: Tensor) -> Tensor:
    """Compute the recurrence in 2·log₂ T rounds, each for many time steps at once.

    Two steps make one of the same kind, h_t = (a_t a_{t−1}) h_{t−2} + (a_t v_{t−1} + v_t), so a
    recurrence of half the length gives every other h, and the rest are one step from there. This
    is the scan of Blelloch, "Prefix sums and their applications", 1990. As 0 ≤ a ≤ 1, products of
    a can't overflow.
    """
    steps = len(v)
    if steps == 1:
        return torch.addcmul(v, a, h_0)
    pairs = steps - steps % 2
    first, second = slice(0, pairs, 2), slice(1, pairs, 2)
    every_other = _by_pairs(
        a[first] * a[second], torch.addcmul(v[second], a[second], v[first]), h_0
    )
    before = torch.cat([h_0[None], every_other])[: (steps + 1) // 2]
    h = torch.empty_like(v)
    h[1::2] = every_other
    h[0::2] = torch.addcmul(v[0::2], a[0::2], before)
    return h
