"""Minimal gated networks: the gates see the input alone, so that time can run in parallel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.base import Cell, State


class MinGRU(Cell):
    """A GRU without the paths from the last output to gate and candidate.

    z, h̃ = split(U x_t + b)
    h_t = (1 − σ(z)) ⊙ h_{t−1} + σ(z) ⊙ h̃

    Shapes: x_t (B, I), h_t (B, H), U (2H, I), b (2H,). There is no W.

    z's bias starts evenly between −4 and 0, so that the units forget at rates of their own.

    Source: Feng et al., "Were RNNs all we needed?", 2024.
    """

    gates = 2

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        if self.b is not None:
            self.b[: self.hidden_size] = torch.linspace(-4, 0, self.hidden_size)

    def decay_and_input(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept of h_{t−1}, and what is added: u (…, 2H) to a and v, (…, H)."""
        z, candidate = u.chunk(2, dim=-1)
        return torch.sigmoid(-z), torch.sigmoid(z) * candidate

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        a, v = self.decay_and_input(u)
        h = a * h + v
        return h, (h,)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = linear_recurrence(*self.decay_and_input(u), *state)
        return outputs, (outputs[-1],)


class MinLSTM(MinGRU):
    """The same with two gates, normalised to a sum of 1.

    f, i, h̃ = split(U x_t + b)
    h_t = (σ(f) ⊙ h_{t−1} + σ(i) ⊙ h̃) / (σ(f) + σ(i))

    Shapes: x_t (B, I), h_t (B, H), U (3H, I), b (3H,). There is no W.

    f's bias starts evenly between 0 and 4.

    Source: as MinGRU.
    """

    gates = 3

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        Cell.reset_parameters(self, generator)
        if self.b is not None:
            self.b[: self.hidden_size] = torch.linspace(0, 4, self.hidden_size)

    def decay_and_input(self, u: Tensor) -> tuple[Tensor, Tensor]:
        f, i, candidate = u.chunk(3, dim=-1)
        weight = F.logsigmoid(f) - F.logsigmoid(i)
        return torch.sigmoid(weight), torch.sigmoid(-weight) * candidate


def linear_recurrence(a: Tensor, v: Tensor, h_0: Tensor) -> Tensor:
    """h_t = a_t ⊙ h_{t−1} + v_t for all t: a and v (T, B, H), h_0 (B, H) to h (T, B, H)."""
    return _LinearRecurrence.apply(a, v, h_0)  # type: ignore[no-untyped-call, no-any-return]


class _LinearRecurrence(torch.autograd.Function):
    """Backwards the same recurrence runs from the end: g_t = ∂L/∂h_t + a_{t+1} ⊙ g_{t+1}.

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
    """The recurrence in 2·log₂ T rounds, each for many time steps at once.

    Two steps are one of the same kind, h_t = (a_t a_{t−1}) h_{t−2} + (a_t v_{t−1} + v_t), so
    half as many give every other h; the rest is one step from there. This is the scan of
    Blelloch, "Prefix sums and their applications", 1990. As 0 ≤ a ≤ 1, nothing can overflow.
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
