"""Long short-term memory."""

from __future__ import annotations

import torch
from torch import Tensor

from chargen.cells.base import RecurrentCell, State


class LSTM(RecurrentCell):
    """A cell state c, and gates that decide what is written to it, kept in it and shown of it.

    i, f, g, o = split(U x_t + W h_{t−1} + b)
    c_t = σ(f) ⊙ c_{t−1} + σ(i) ⊙ tanh(g)
    h_t = σ(o) ⊙ tanh(c_t)

    Shapes: x_t (B, I), h_t and c_t (B, H), U (4H, I), W (4H, H), b (4H,).

    Source: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997;
    the forget gate f by Gers, Schmidhuber and Cummins, 2000; its bias of 1 by Jozefowicz,
    Zaremba and Sutskever, 2015.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias, gate_names=("i", "f", "g", "o"))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As in every recurrent cell, but with W halved and the forget gate's bias at 1."""
        super().reset_parameters(generator)
        self.W.mul_(0.5)
        if self.b is not None:
            self.b[self.hidden_size : 2 * self.hidden_size] = 1.0

    def initial_state(self, batch: int) -> State:
        """Return h and c before the first step: zeros, (B, H) each."""
        shape = (batch, self.hidden_size)
        return self.zero.new_zeros(shape), self.zero.new_zeros(shape)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state
        i, f, g, o = (u + h @ self.W.T).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)
