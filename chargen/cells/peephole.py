"""An LSTM whose gates see the cell state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chargen.cells.base import RecurrentCell, State


class Peephole(RecurrentCell):
    """An LSTM whose gates see the cell state: i and f see the old one, o the new one.

    i, f, g, o = split(U x_t + W h_{t−1} + b)
    c_t = σ(f + p_f ⊙ c_{t−1}) ⊙ c_{t−1} + σ(i + p_i ⊙ c_{t−1}) ⊙ tanh(g)
    h_t = σ(o + p_o ⊙ c_t) ⊙ tanh(c_t)

    Shapes: x_t (B, I), h_t and c_t (B, H), U (4H, I), W (4H, H), b (4H,), and p_i, p_f and p_o
    (H,), which start at zero.

    Source: Gers and Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias, gate_names=("i", "f", "g", "o"))
        self.p_i = nn.Parameter(torch.empty(hidden_size))
        self.p_f = nn.Parameter(torch.empty(hidden_size))
        self.p_o = nn.Parameter(torch.empty(hidden_size))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As in the LSTM: W halved, the forget gate's bias at 1; the peepholes start shut."""
        super().reset_parameters(generator)
        self.W.mul_(0.5)
        if self.b is not None:
            self.b[self.hidden_size : 2 * self.hidden_size] = 1.0
        for p in (self.p_i, self.p_f, self.p_o):
            p.zero_()

    def initial_state(self, batch: int) -> State:
        """Return h and c before the first step: zeros, (B, H) each."""
        shape = (batch, self.hidden_size)
        return self.zero.new_zeros(shape), self.zero.new_zeros(shape)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state
        i, f, g, o = (u + h @ self.W.T).chunk(4, dim=-1)
        i, f = torch.sigmoid(i + self.p_i * c), torch.sigmoid(f + self.p_f * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + self.p_o * c) * torch.tanh(c)
        return h, (h, c)
