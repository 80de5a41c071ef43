"""The gated recurrent unit, faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.base import State
from chargen.cells.fast.kernels import run_kernel
from chargen.cells.fast.rows import pad_gates, sigmoid_
from chargen.cells.fast.stepper import PaddedStepper, Stepper
from chargen.cells.fast.unrolled import (
    backwards,
    forwards,
    history,
    sigmoid_backward,
    tanh_backward,
    weight_gradient,
)
from chargen.cells.gru import GRU


class FastGRU(GRU):
    """``GRU`` with a hand-written backward pass, torch's kernel on a GPU, and a stepper."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        d = self.zero.new_zeros(self.hidden_size) if self.d is None else self.d
        outputs, h = _Unrolled.apply(u, self.W, d, *state)  # type: ignore[no-untyped-call]
        return outputs, (h,)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Make T time steps from the input x (T, B, I), with cuDNN on a GPU."""
        if x.is_cuda and self.U is not None:
            return self.fused(x, state)
        return super().forward(x, state)

    def fused(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As ``forward``, by torch's kernel."""
        return run_kernel(torch.gru, self, x, state, self._recurrent_bias())

    def stepper(self, inputs: int) -> Stepper:
        return GRUStepper(self, inputs, self.W, self._recurrent_bias())

    def _recurrent_bias(self) -> Tensor | None:
        """Return d as the last third of a vector (3H,), or None without biases."""
        return None if self.d is None else F.pad(self.d, [2 * self.hidden_size, 0])


class _Unrolled(torch.autograd.Function):
    """Backwards, with δ the error at r, z and n before their non-linearities."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, W: Tensor, d: Tensor, h_0: Tensor) -> tuple[Tensor, Tensor]:
        H = len(d)
        h, n = history(h_0, len(u)), u.new_empty(*u.shape[:2], H)
        gates = torch.empty_like(u)
        W_T, offset = W.T.contiguous(), torch.cat([d.new_zeros(2 * H), d])
        for u_t, a, n_t, before, after in forwards(u, gates, n, h[:-1], h[1:]):
            torch.addmm(offset, before, W_T, out=a)
            r, z = a[:, : 2 * H].add_(u_t[:, : 2 * H]).sigmoid_().chunk(2, dim=-1)
            torch.addcmul(u_t[:, 2 * H :], r, a[:, 2 * H :], out=n_t).tanh_()
            torch.lerp(n_t, before, z, out=after)
        ctx.save_for_backward(h, n, gates, W)
        return h[1:], h[-1]

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor, later: Tensor) -> tuple[Tensor, ...]:
        h, n, gates, W = ctx.saved_tensors
        H = h.shape[-1]
        delta, at_W, later = torch.empty_like(gates), torch.empty_like(gates), later.clone()
        for grad, n_t, a, before, out, out_W in backwards(grad_h, n, gates, h[:-1], delta, at_W):
            r, z, w_n = a.chunk(3, dim=-1)
            delta_r, delta_z, delta_n = out.chunk(3, dim=-1)
            later += grad
            tanh_backward(torch.addcmul(later, later, z, value=-1), n_t, delta_n)
            sigmoid_backward((before - n_t).mul_(later), z, delta_z)
            sigmoid_backward(delta_n * w_n, r, delta_r)
            out_W.copy_(out)[:, 2 * H :].mul_(r)
            later.mul_(z).addmm_(out_W, W)
        at_d = at_W[..., 2 * H :].sum(dim=(0, 1))
        return delta, weight_gradient(at_W, h[:-1]), at_d, later


class GRUStepper(PaddedStepper):
    """The equations in place, with tanh(x) as 2σ(2x) − 1; the weights of n are doubled."""

    def arrange(self, weights: Tensor, columns: int = 0) -> Tensor:
        weights = weights.clone()
        weights.chunk(3)[2].mul_(2)
        return pad_gates(weights, 3, columns)

    def step(self, u: Tensor, state: State) -> Tensor:
        (h,) = state
        w = self.W(h)
        both = slice(2 * self.outputs)
        r, z = sigmoid_(u[:, both] + w[:, both]).chunk(2, dim=-1)
        n = sigmoid_(u[:, both.stop :] + r.mul_(w[:, both.stop :])).mul_(2).sub_(1)
        return h.sub_(n).mul_(z).add_(n)
