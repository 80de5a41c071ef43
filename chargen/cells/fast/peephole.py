"""An LSTM whose gates see the cell state, faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chargen.cells.base import State
from chargen.cells.fast.unrolled import (
    backwards,
    forwards,
    history,
    sigmoid_backward,
    tanh_backward,
    weight_gradient,
)
from chargen.cells.peephole import Peephole


class FastPeephole(Peephole):
    """``Peephole`` with a hand-written backward pass."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, h, c = _Unrolled.apply(u, self.W, self.p_i, self.p_f, self.p_o, *state)  # type: ignore[no-untyped-call]
        return outputs, (h, c)


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
        at_p = [
            _peephole_gradient(delta_i, c[:-1]),
            _peephole_gradient(delta_f, c[:-1]),
            _peephole_gradient(delta_o, c[1:]),
        ]
        return delta, weight_gradient(delta, h[:-1]), *at_p, later_h, later_c


def _peephole_gradient(delta: Tensor, c: Tensor) -> Tensor:
    """Compute ∂L/∂p = Σ δ_t ⊙ c over time and rows: (T, B, H) both, to (H,)."""
    return (delta * c).sum(dim=(0, 1))
