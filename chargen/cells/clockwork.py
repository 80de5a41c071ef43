"""The clockwork recurrent network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import Cell, State


class Clock(NamedTuple):
    """A module: units ``first`` to ``end`` − 1, which update when t mod ``period`` = 0."""

    first: int
    end: int
    period: int


class Clockwork(Cell):
    """Modules of units, each with its own clock.

    When t mod 2ᵏ = 0, module k updates, and sees itself and all slower modules:
    s_t[k] = f(U_k x_t + Σ_{j ≥ k} W_kj s_{t−1}[j] + b_k).
    Otherwise it keeps its state: s_t[k] = s_{t−1}[k].

    Shapes: x_t (B, I), s_t (B, H) with the fastest module first, U (H, I), b (H,). W is (H, H)
    and block-triangular; the blocks that are zero by definition are not stored, which leaves one
    matrix per module. The state also holds t, the number of steps of each row, (B,) int64.

    Source: Koutník, Greff, Gomez and Schmidhuber, "A clockwork RNN", ICML 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        activation: str = "tanh",
        modules: int = 4,
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.activation = activation
        self.clocks = _clocks(hidden_size, min(modules, hidden_size))
        self.W = nn.ParameterList(
            torch.empty(clock.end - clock.first, hidden_size - clock.first) for clock in self.clocks
        )

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw U and b as in every cell, and each module's matrix with orthonormal rows."""
        super().reset_parameters(generator)
        for W_k in self.W:
            nn.init.orthogonal_(W_k, generator=generator)

    def recurrent_matrix(self) -> Tensor:
        """Return the whole W, (H, H), zeros included."""
        rows = zip(self.W, self.clocks, strict=True)
        return torch.cat([F.pad(W_k, [clock.first, 0]) for W_k, clock in rows])

    def initial_state(self, batch: int) -> State:
        """Return s and t before the first step: zeros, (B, H) and (B,)."""
        t = torch.zeros(batch, dtype=torch.int64, device=self.zero.device)
        return self.zero.new_zeros(batch, self.hidden_size), t

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        s, t = state
        f = ACTIVATIONS[self.activation].function
        modules = []
        for W_k, (first, end, period) in zip(self.W, self.clocks, strict=True):
            s_k = f(u[:, first:end] + s[:, first:] @ W_k.T)
            due = t % period == 0
            modules.append(torch.where(due[:, None], s_k, s[:, first:end]))
        s = torch.cat(modules, dim=-1)
        return s, (s, t + 1)


def _clocks(units: int, modules: int) -> tuple[Clock, ...]:
    """Share ``units`` among modules of periods 1, 2, 4, …, as evenly as possible."""
    edges = [units * k // modules for k in range(modules + 1)]
    return tuple(Clock(edges[k], edges[k + 1], 2**k) for k in range(modules))
