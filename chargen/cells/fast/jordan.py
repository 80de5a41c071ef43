"""Jordan's network, faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import State
from chargen.cells.fast.activations import FAST_ACTIVATIONS, FastActivation
from chargen.cells.fast.unrolled import backwards, forwards, history, weight_gradient
from chargen.cells.jordan import Jordan


class FastJordan(Jordan):
    """``Jordan`` with a hand-written backward pass; all steps at once with teacher forcing."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (before,) = state
        if self.output is None or self.W is None:
            from_x, for_next = u.chunk(2, dim=-1)
            f = ACTIVATIONS[self.activation].function
            return f(from_x + torch.cat([before[None], for_next[:-1]])), (for_next[-1],)
        fast = FAST_ACTIVATIONS[self.activation]
        outputs, h = _Unrolled.apply(u, self.W, *self.output, before, fast)  # type: ignore[no-untyped-call]
        return outputs, (h,)


class _Unrolled(torch.autograd.Function):
    """Backwards, δ_t = ∂L/∂h_t ⊙ f′; through the softmax, ε_t = o ⊙ (Wᵀδ_t − o·Wᵀδ_t); Vᵀε_t."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        W: Tensor,
        V: Tensor,
        c: Tensor | None,
        h_0: Tensor,
        f: FastActivation,
    ) -> tuple[Tensor, Tensor]:
        h, o = history(h_0, len(u)), u.new_empty(*u.shape[:2], len(V))
        W_T, V_T = W.T.contiguous(), V.T.contiguous()
        offset = V.new_zeros(len(V)) if c is None else c
        for u_t, o_t, before, after in forwards(u, o, h[:-1], h[1:]):
            torch.softmax(torch.addmm(offset, before, V_T, out=o_t), dim=-1, out=o_t)
            f.in_place(torch.addmm(u_t, o_t, W_T, out=after))
        ctx.save_for_backward(h, o, W, V, c)
        ctx.f = f
        return h[1:], h[-1]

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor, later: Tensor) -> tuple[Tensor | None, ...]:
        h, o, W, V, c = ctx.saved_tensors
        delta, epsilon = torch.empty_like(h[1:]), torch.empty_like(o)
        later = later.clone()
        for grad, o_t, after, out, out_V in backwards(grad_h, o, h[1:], delta, epsilon):
            ctx.f.backward(later.add_(grad), after, out)
            at_o = torch.mm(out, W, out=out_V).mul_(o_t)
            at_o.addcmul_(o_t, at_o.sum(dim=-1, keepdim=True), value=-1)
            torch.mm(at_o, V, out=later)
        at_W, at_V = weight_gradient(delta, o), weight_gradient(epsilon, h[:-1])
        at_c = None if c is None else epsilon.sum(dim=(0, 1))
        return delta, at_W, at_V, at_c, later, None
