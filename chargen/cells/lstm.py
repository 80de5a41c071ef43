"""Long short-term memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.base import RecurrentCell, State
from chargen.cells.rows import RowProduct, pad_gates, padded, sigmoid_
from chargen.cells.stepper import Stepper
from chargen.cells.unrolled import (
    backwards,
    forwards,
    history,
    sigmoid_backward,
    tanh_backward,
    weight_gradient,
)


class LSTM(RecurrentCell):
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
    gate_names = ("i", "f", "g", "o")

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As every cell, but W at half its size; the forget gate's bias 1."""
        super().reset_parameters(generator)
        self.W.mul_(0.5)
        if self.b is not None:
            self.b[self.hidden_size : 2 * self.hidden_size] = 1.0

    def initial_state(self, batch: int) -> State:
        """H and c, zeros, each (B, H)."""
        return (
            self.zero.new_zeros(batch, self.hidden_size),
            self.zero.new_zeros(batch, self.hidden_size),
        )

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state
        i, f, g, o = (u + h @ self.W.T).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, h, c = _Unrolled.apply(u, self.W, *state)  # type: ignore[no-untyped-call]
        return outputs, (h, c)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As ``scan(project(x))``, through torch's fused kernel (oneDNN, cuDNN)."""
        if self.U is None:
            return super().forward(x, state)
        weights: list[Tensor] = [self.U, self.W]
        if self.b is not None:
            weights += [self.b, torch.zeros_like(self.b)]
        return self.by_kernel(torch.lstm, weights, x, state)

    def stepper(self, inputs: int = 0) -> Stepper:
        return LSTMStepper(self, inputs)


class _Unrolled(torch.autograd.Function):
    """Backwards, with δ the error at i, f, g and o before their non-linearities."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, W: Tensor, h_0: Tensor, c_0: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        h, c, gates = history(h_0, len(u)), history(c_0, len(u)), torch.empty_like(u)
        W_T = W.T.contiguous()
        for u_t, a, h_before, h_after, c_before, c_after in forwards(
            u, gates, h[:-1], h[1:], c[:-1], c[1:]
        ):
            i, f, g, o = torch.addmm(u_t, h_before, W_T, out=a).chunk(4, dim=-1)
            torch.mul(f.sigmoid_(), c_before, out=c_after).addcmul_(i.sigmoid_(), g.tanh_())
            torch.tanh(c_after, out=h_after).mul_(o.sigmoid_())
        ctx.save_for_backward(h, c, gates, W)
        return h[1:], h[-1], c[-1]

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor, later_h: Tensor, later_c: Tensor) -> tuple[Tensor, ...]:
        h, c, gates, W = ctx.saved_tensors
        delta, later_h, later_c = torch.empty_like(gates), later_h.clone(), later_c.clone()
        tanh_c = torch.tanh(c[1:])
        for grad, a, shown, c_before, out in backwards(grad_h, gates, tanh_c, c[:-1], delta):
            i, f, g, o = a.chunk(4, dim=-1)
            delta_i, delta_f, delta_g, delta_o = out.chunk(4, dim=-1)
            later_h += grad
            sigmoid_backward(later_h * shown, o, delta_o)
            later_c += tanh_backward(later_h.mul_(o), shown, later_h)
            sigmoid_backward(later_c * g, i, delta_i)
            sigmoid_backward(later_c * c_before, f, delta_f)
            tanh_backward(later_c * i, g, delta_g)
            later_c *= f
            torch.mm(out, W, out=later_h)
        return delta, weight_gradient(delta, h[:-1]), later_h, later_c


class LSTMStepper(Stepper):
    """The same equations in place, every non-linearity a σ: tanh(x) = 2σ(2x) − 1.

    g's weights are doubled, so that one call takes σ of all four gates, and then
    c = σ(f)·c + 2·σ(i)·σ(2g) − σ(i) and h = σ(o) − 2·σ(o)·σ(−2c).
    """

    def __init__(self, cell: LSTM, inputs: int) -> None:
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
