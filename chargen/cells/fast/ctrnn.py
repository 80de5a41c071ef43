"""The continuous-time recurrent network, faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chargen.cells.base import State
from chargen.cells.ctrnn import CTRNN
from chargen.cells.fast.activations import FAST_ACTIVATIONS, FastActivation
from chargen.cells.fast.unrolled import backwards, forwards, history, weight_gradient


class FastCTRNN(CTRNN):
    """``CTRNN`` with a hand-written backward pass."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        f, n = FAST_ACTIVATIONS[self.activation], self.euler_steps
        u = u.repeat_interleave(n, dim=0) if n > 1 else u
        outputs, s = _Unrolled.apply(u, self.W, self.dt / self.tau, *state, f)  # type: ignore[no-untyped-call]
        return outputs[n - 1 :: n], (s,)


class _Unrolled(torch.autograd.Function):
    """s_t = (1 − α) s_{t−1} + α f(a_t); backwards, δ_t = α ∂L/∂s_t ⊙ f′(a_t)."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, W: Tensor, alpha: Tensor, s_0: Tensor, f: FastActivation
    ) -> tuple[Tensor, Tensor]:
        s, target = history(s_0, len(u)), torch.empty_like(u)
        W_T = W.T.contiguous()
        for u_t, a, before, after in forwards(u, target, s[:-1], s[1:]):
            f.in_place(torch.addmm(u_t, before, W_T, out=a))
            torch.lerp(before, a, alpha, out=after)
        ctx.save_for_backward(s, target, W, alpha)
        ctx.f = f
        return s[1:], s[-1]

    @staticmethod
    def backward(ctx: Any, grad_s: Tensor, later: Tensor) -> tuple[Tensor | None, ...]:
        s, target, W, alpha = ctx.saved_tensors
        delta, later, kept = torch.empty_like(target), later.clone(), 1 - alpha
        at_alpha = torch.zeros_like(later)
        for grad, a, before, out in backwards(grad_s, target, s[:-1], delta):
            later += grad
            at_alpha.addcmul_(later, a - before)
            ctx.f.backward(later * alpha, a, out)
            later.mul_(kept).addmm_(out, W)
        return delta, weight_gradient(delta, s[:-1]), at_alpha.sum(dim=0), later, None
