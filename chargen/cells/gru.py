"""The gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.base import Cell, State
from chargen.cells.rows import RowProduct, pad_gates, padded, sigmoid_
from chargen.cells.stepper import Stepper


class GRU(Cell):
    """An LSTM's gates without its second state.

    r, z from σ(U x_t + W h_{t−1} + b), with
    n = tanh(U_n x_t + b_n + r ⊙ (W_n h_{t−1} + d))
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}

    Shapes: x_t (B, I), h_t (B, H), U (3H, I), W (3H, H), b (3H,), d (H,).

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP
    2014, in the variant of cuDNN and torch, where r acts after the product with W_n.
    """

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, *, bias: bool = True, activation: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias, activation=activation)
        self.d = nn.Parameter(torch.empty(hidden_size)) if bias else None

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        if self.d is not None:
            self.d.zero_()

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        u_r, u_z, u_n = u.chunk(3, dim=-1)
        w_r, w_z, w_n = (h @ self.W.T).chunk(3, dim=-1)
        r = torch.sigmoid(u_r + w_r)
        z = torch.sigmoid(u_z + w_z)
        n = torch.tanh(u_n + r * (w_n if self.d is None else w_n + self.d))
        h = n + z * (h - n)
        return h, (h,)

    def stepper(self, inputs: int = 0) -> Stepper:
        return GRUStepper(self, inputs)


class GRUStepper(Stepper):
    """The same equations in place; tanh(x) is 2σ(2x) − 1, with n's weights doubled."""

    def __init__(self, cell: GRU, inputs: int) -> None:
        super().__init__(cell, inputs)
        self.outputs = padded(cell.hidden_size)
        d = None
        if cell.d is not None:
            d = self.gates(torch.cat([cell.d.new_zeros(2 * cell.hidden_size), cell.d.detach()]))
        self.W = RowProduct(self.gates(cell.W.detach(), self.outputs), d)
        self.tile = self.W.tile

    def gates(self, weights: Tensor, columns: int = 0) -> Tensor:
        weights = weights.clone()
        weights.chunk(3)[2].mul_(2)
        return pad_gates(weights, 3, columns)

    def initial_state(self, rows: int) -> State:
        (h,) = self.cell.initial_state(rows)
        return (F.pad(h, [0, self.outputs - h.shape[1]]),)

    def step(self, u: Tensor, state: State) -> Tensor:
        (h,) = state
        w = self.W(h)
        both = slice(2 * self.outputs)
        r, z = sigmoid_(u[:, both] + w[:, both]).chunk(2, dim=-1)
        n = sigmoid_(u[:, both.stop :] + r.mul_(w[:, both.stop :])).mul_(2).sub_(1)
        return h.sub_(n).mul_(z).add_(n)
