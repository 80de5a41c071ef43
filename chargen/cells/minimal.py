"""Minimal gated networks, whose gates see the input alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.base import Cell, State


class MinimalCell(Cell):
    """A cell that is linear in its state: h_t = a_t ⊙ h_{t−1} + v_t, where x_t gives a_t and v_t.

    Source: Feng et al., "Were RNNs all we needed?", 2024.
    """

    def decay_and_input(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the share a of h_{t−1} that is kept, and what is added, v: u (…, G) to (…, H)."""
        raise NotImplementedError

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        a, v = self.decay_and_input(u)
        h = a * h + v
        return h, (h,)


class MinGRU(MinimalCell):
    """A GRU whose gate and candidate don't see the last output.

    z, h̃ = split(U x_t + b)
    h_t = (1 − σ(z)) ⊙ h_{t−1} + σ(z) ⊙ h̃

    Shapes: x_t (B, I), h_t (B, H), U (2H, I), b (2H,). There is no W.

    The biases of z start evenly spread from −4 to 0, so that each unit forgets at its own rate.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias, gate_names=("z", "h"))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        if self.b is not None:
            self.b[: self.hidden_size] = torch.linspace(-4, 0, self.hidden_size)

    def decay_and_input(self, u: Tensor) -> tuple[Tensor, Tensor]:
        z, candidate = u.chunk(2, dim=-1)
        return torch.sigmoid(-z), torch.sigmoid(z) * candidate


class MinLSTM(MinimalCell):
    """An LSTM whose gates and candidate don't see the last output; the gates sum to 1.

    f, i, h̃ = split(U x_t + b)
    h_t = (σ(f) ⊙ h_{t−1} + σ(i) ⊙ h̃) / (σ(f) + σ(i))

    Shapes: x_t (B, I), h_t (B, H), U (3H, I), b (3H,). There is no W.

    The biases of f start evenly spread from 0 to 4.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias, gate_names=("f", "i", "h"))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        if self.b is not None:
            self.b[: self.hidden_size] = torch.linspace(0, 4, self.hidden_size)

    def decay_and_input(self, u: Tensor) -> tuple[Tensor, Tensor]:
        f, i, candidate = u.chunk(3, dim=-1)
        odds = F.logsigmoid(f) - F.logsigmoid(i)  # σ(odds) = σ(f) / (σ(f) + σ(i))
        return torch.sigmoid(odds), torch.sigmoid(-odds) * candidate
