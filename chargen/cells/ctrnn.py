"""The continuous-time recurrent network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import RecurrentCell, State

_LONGEST = 16.0
"""The time constants start between 1 and this, evenly spread on a logarithmic scale."""


class CTRNN(RecurrentCell):
    """Units that follow their target with a delay, each with its own.

    τ ds/dt = −s + f(U x + W s + b)

    Each character lasts one unit of time, in which Euler's method takes 1/dt steps:
    s ← s + (dt/τ) ⊙ (f(U x_t + W s + b) − s).

    The time constants τ = 1 + softplus(ρ), in characters, are learnt. None is below 1, so that a
    step of dt ≤ 1 never overshoots. With τ = dt = 1 this is the simple recurrent network.

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
        """The number of steps of length ``dt`` in a character."""
        return round(1 / self.dt)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (s,) = state
        f = ACTIVATIONS[self.activation].function
        for _ in range(self.euler_steps):
            target = f(u + s @ self.W.T)
            s = s + (self.dt / self.tau) * (target - s)
        return s, (s,)
