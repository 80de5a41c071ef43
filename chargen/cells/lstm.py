"""Long short-term memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.base import Cell, State
from chargen.cells.rows import RowProduct, pad_gates, padded, sigmoid_
from chargen.cells.stepper import Stepper


class LSTM(Cell):
    """A cell state c that gates write, keep and show.

    i, f, g, o = split(U x_t + W h_{t−1} + b)
    c_t = σ(f) ⊙ c_{t−1} + σ(i) ⊙ tanh(g)
    h_t = σ(o) ⊙ tanh(c_t)

    Shapes: x_t (B, I), h_t and c_t (B, H), U (4H, I), W (4H, H), b (4H,).

    Source: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997;
    the forget gate f by Gers, Schmidhuber and Cummins, 2000, its bias starting at 1 as
    Jozefowicz et al., 2015, advise.
    """

    gates = 4

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        if self.b is not None:
            self.b[self.hidden_size : 2 * self.hidden_size] = 1.0

    def initial_state(self, batch: int) -> State:
        """H and c, zeros, each (B, H)."""
        return (
            self.W.new_zeros(batch, self.hidden_size),
            self.W.new_zeros(batch, self.hidden_size),
        )

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state
        i, f, g, o = (u + h @ self.W.T).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As ``scan(project(x))``, through torch's fused kernel (oneDNN, cuDNN)."""
        if self.U is None:
            return super().forward(x, state)
        weights: list[Tensor] = [self.U, self.W]
        if self.b is not None:
            weights += [self.b, torch.zeros_like(self.b)]
        h, c = state
        outputs, h, c = torch.lstm(
            x, (h[None], c[None]), weights, self.b is not None, 1, 0.0, self.training, False, False
        )
        return outputs, (h[0], c[0])

    def stepper(self, inputs: int = 0) -> Stepper:
        return LSTMStepper(self, inputs)


class LSTMStepper(Stepper):
    """The same equations in place, every non-linearity a σ: tanh(x) = 2σ(2x) − 1.

    g's weights are doubled, so that one call takes σ of all four gates, and then
    c = σ(f)·c + 2·σ(i)·σ(2g) − σ(i) and h = σ(o) − 2·σ(o)·σ(−2c).
    """

    def __init__(self, cell: Cell, inputs: int) -> None:
        super().__init__(cell, inputs)
        self.outputs = padded(cell.hidden_size)
        self.W = RowProduct(self.gates(cell.W.detach(), self.outputs))
        self.tile = self.W.tile

    def gates(self, weights: Tensor, columns: int = 0) -> Tensor:
        weights = weights.clone()
        weights.chunk(4)[2].mul_(2)
        return pad_gates(weights, 4, columns)

    def initial_state(self, rows: int) -> State:
        h, c = self.cell.initial_state(rows)
        spare = [0, self.outputs - h.shape[1]]
        return F.pad(h, spare), F.pad(c, spare)

    def step(self, u: Tensor, state: State) -> Tensor:
        h, c = state
        i, f, g, o = sigmoid_(self.W.add_to(u, h)).chunk(4, dim=-1)
        c.mul_(f).add_(g.mul_(i), alpha=2).sub_(i)
        t = sigmoid_(c * -2).mul_(o)
        return torch.sub(o, t, alpha=2, out=h)
