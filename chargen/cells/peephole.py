"""An LSTM whose gates see the cell state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from chargen.cells.base import Cell, State
from chargen.cells.lstm import LSTM
from chargen.cells.stepper import Stepper
from chargen.cells.unrolled import (
    backwards,
    forwards,
    history,
    sigmoid_backward,
    tanh_backward,
    weight_gradient,
)


class Peephole(LSTM):
    """An LSTM whose input and forget gates see the cell state before, the output gate that after.

    i, f, g, o = split(U x_t + W h_{t−1} + b)
    c_t = σ(f + p_f ⊙ c_{t−1}) ⊙ c_{t−1} + σ(i + p_i ⊙ c_{t−1}) ⊙ tanh(g)
    h_t = σ(o + p_o ⊙ c_t) ⊙ tanh(c_t)

    Shapes: as the LSTM's; p_i, p_f and p_o (H,), which start at zero.

    Source: Gers and Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.p_i = nn.Parameter(torch.empty(hidden_size))
        self.p_f = nn.Parameter(torch.empty(hidden_size))
        self.p_o = nn.Parameter(torch.empty(hidden_size))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        for p in (self.p_i, self.p_f, self.p_o):
            p.zero_()

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state
        i, f, g, o = (u + h @ self.W.T).chunk(4, dim=-1)
        i, f = torch.sigmoid(i + self.p_i * c), torch.sigmoid(f + self.p_f * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + self.p_o * c) * torch.tanh(c)
        return h, (h, c)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, h, c = _Unrolled.apply(u, self.W, self.p_i, self.p_f, self.p_o, *state)  # type: ignore[no-untyped-call]
        return outputs, (h, c)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As every cell, for there is no fused kernel."""
        return Cell.forward(self, x, state)

    def stepper(self, inputs: int = 0) -> Stepper:
        return Stepper(self, inputs)


class _Unrolled(torch.autograd.Function):
    """Backwards, with δ the error at i, f, g and o before their non-linearities."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        W: Tensor,
        p_i: Tensor,
        p_f: Tensor,
        p_o: Tensor,
        h_0: Tensor,
        c_0: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        h, c, gates = history(h_0, len(u)), history(c_0, len(u)), torch.empty_like(u)
        W_T = W.T.contiguous()
        for u_t, a, h_before, h_after, c_before, c_after in forwards(
            u, gates, h[:-1], h[1:], c[:-1], c[1:]
        ):
            i, f, g, o = torch.addmm(u_t, h_before, W_T, out=a).chunk(4, dim=-1)
            i.addcmul_(p_i, c_before).sigmoid_()
            f.addcmul_(p_f, c_before).sigmoid_()
            torch.mul(f, c_before, out=c_after).addcmul_(i, g.tanh_())
            torch.tanh(c_after, out=h_after).mul_(o.addcmul_(p_o, c_after).sigmoid_())
        ctx.save_for_backward(h, c, gates, W, p_i, p_f, p_o)
        return h[1:], h[-1], c[-1]

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor, later_h: Tensor, later_c: Tensor) -> tuple[Tensor, ...]:
        h, c, gates, W, p_i, p_f, p_o = ctx.saved_tensors
        delta, later_h, later_c = torch.empty_like(gates), later_h.clone(), later_c.clone()
        tanh_c = torch.tanh(c[1:])
        for grad, a, shown, c_before, out in backwards(grad_h, gates, tanh_c, c[:-1], delta):
            i, f, g, o = a.chunk(4, dim=-1)
            delta_i, delta_f, delta_g, delta_o = out.chunk(4, dim=-1)
            later_h += grad
            sigmoid_backward(later_h * shown, o, delta_o)
            later_c += tanh_backward(later_h.mul_(o), shown, later_h)
            later_c.addcmul_(p_o, delta_o)
            sigmoid_backward(later_c * g, i, delta_i)
            sigmoid_backward(later_c * c_before, f, delta_f)
            tanh_backward(later_c * i, g, delta_g)
            later_c.mul_(f).addcmul_(p_i, delta_i).addcmul_(p_f, delta_f)
            torch.mm(out, W, out=later_h)
        delta_i, delta_f, _, delta_o = delta.chunk(4, dim=-1)
        at_p = [_seen(delta_i, c[:-1]), _seen(delta_f, c[:-1]), _seen(delta_o, c[1:])]
        return delta, weight_gradient(delta, h[:-1]), *at_p, later_h, later_c


def _seen(delta: Tensor, c: Tensor) -> Tensor:
    """∂L/∂p = Σ δ_t ⊙ c over time and rows: (T, B, H) both, to (H,)."""
    return (delta * c).sum(dim=(0, 1))
