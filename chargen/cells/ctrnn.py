"""The continuous-time recurrent network."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.activations import ACTIVATIONS, Activation
from chargen.cells.base import RecurrentCell, State
from chargen.cells.unrolled import backwards, forwards, history, weight_gradient

_LONGEST = 16.0
"""The time constants start between 1 and this, evenly on a logarithmic scale."""


class CTRNN(RecurrentCell):
    """Units that follow their input with a delay of their own.

    τ ds/dt = −s + f(U x + W s + b)

    A character is x for one unit of time, in which Euler's method takes 1/dt steps:
    s ← s + (dt/τ) ⊙ (f(U x_t + W s + b) − s).

    The time constants τ = 1 + softplus(ρ), in characters, are learnt. None is below 1, so that a
    step of dt ≤ 1 never overshoots; as τ → 1 and dt = 1 the unit is one of a simple RNN.

    Shapes: x_t (B, I), s_t (B, H), U (H, I), W (H, H), b, τ and ρ (H,).

    Source: Funahashi and Nakamura, "Approximation of dynamical systems by continuous time
    recurrent neural networks", Neural Networks 6, 1993.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        activation: str = "tanh",
        dt: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.activation = activation
        self.dt = dt
        self.rho = nn.Parameter(torch.empty(hidden_size))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        tau = torch.logspace(0, math.log10(_LONGEST), self.hidden_size + 1)[1:]
        self.rho.copy_(torch.expm1(tau - 1).log())

    @property
    def tau(self) -> Tensor:
        """The time constants, in characters, (H,)."""
        return 1 + F.softplus(self.rho)

    @property
    def euler_steps(self) -> int:
        """How many steps of ``dt`` a character lasts."""
        return round(1 / self.dt)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (s,) = state
        for _ in range(self.euler_steps):
            target = ACTIVATIONS[self.activation].function(u + s @ self.W.T)
            s = s + (self.dt / self.tau) * (target - s)
        return s, (s,)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        f, n = ACTIVATIONS[self.activation], self.euler_steps
        u = u.repeat_interleave(n, dim=0) if n > 1 else u
        outputs, s = _Unrolled.apply(u, self.W, self.dt / self.tau, *state, f)  # type: ignore[no-untyped-call]
        return outputs[n - 1 :: n], (s,)


class _Unrolled(torch.autograd.Function):
    """s_t = (1 − α) s_{t−1} + α f(a_t); backwards, δ_t = α ∂L/∂s_t ⊙ f′(a_t)."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, W: Tensor, alpha: Tensor, s_0: Tensor, f: Activation
    ) -> tuple[Tensor, Tensor]:
        s, target = history(s_0, len(u)), torch.empty_like(u)
        W_T = W.T.contiguous()
        for u_t, a, before, after in forwards(u, target, s[:-1], s[1:]):
            f.in_place(torch.addmm(u_t, before, W_T, out=a))
            torch.lerp(before, a, alpha, out=after)
        ctx.save_for_backward(s, target, W, alpha)
        ctx.f = f
        return s[1:], s[-1]

    @staticmethod
    def backward(ctx: Any, grad_s: Tensor, later: Tensor) -> tuple[Tensor | None, ...]:
        s, target, W, alpha = ctx.saved_tensors
        delta, later, kept = torch.empty_like(target), later.clone(), 1 - alpha
        at_alpha = torch.zeros_like(later)
        for grad, a, before, out in backwards(grad_s, target, s[:-1], delta):
            later += grad
            at_alpha.addcmul_(later, a - before)
            ctx.f.backward(later * alpha, a, out)
            later.mul_(kept).addmm_(out, W)
        return delta, weight_gradient(delta, s[:-1]), at_alpha.sum(dim=0), later, None
