"""Long short-term memory, faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

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
from chargen.cells.lstm import LSTM


class FastLSTM(LSTM):
    """``LSTM`` with torch's kernel, a hand-written backward pass for one-hot input, a stepper."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, h, c = _Unrolled.apply(u, self.W, *state)  # type: ignore[no-untyped-call]
        return outputs, (h, c)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Make T time steps from the input x (T, B, I); with oneDNN or cuDNN unless one-hot."""
        if self.U is not None:
            return run_kernel(torch.lstm, self, x, state)
        return super().forward(x, state)

    def stepper(self, inputs: int) -> Stepper:
        return LSTMStepper(self, inputs, self.W)


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


class LSTMStepper(PaddedStepper):
    """The equations in place, with every non-linearity a σ: tanh(x) = 2σ(2x) − 1.

    The weights of g are doubled, so that one call computes σ for all four gates. Then
    c = σ(f)·c + 2·σ(i)·σ(2g) − σ(i) and h = σ(o) − 2·σ(o)·σ(−2c).
    """

    def arrange(self, weights: Tensor, columns: int = 0) -> Tensor:
        weights = weights.clone()
        weights.chunk(4)[2].mul_(2)
        return pad_gates(weights, 4, columns)

    def step(self, u: Tensor, state: State) -> Tensor:
        h, c = state
        if h.shape[0] == 1 and h.device.type == "cpu" and h.dtype == torch.float32:
            return self._step_one(u, h, c)
        i, f, g, o = sigmoid_(self.W.add_to(u, h)).chunk(4, dim=-1)
        c.mul_(f).add_(g.mul_(i), alpha=2).sub_(i)
        t = sigmoid_(c * -2).mul_(o)
        return torch.sub(o, t, alpha=2, out=h)

    def _step_one(self, u: Tensor, h: Tensor, c: Tensor) -> Tensor:
        """As ``step`` for a row, with the same bits: NumPy's calls take half the time of torch's.

        Sums, differences and products are exactly rounded, and those with 2 are exact.
        """
        gates = sigmoid_(self.W.add_to(u, h))
        i, f, g, o = gates.numpy().reshape(4, 1, -1)
        shown, kept = h.numpy(), c.numpy()
        kept *= f
        g *= i
        g *= 2
        kept += g
        kept -= i
        t = kept * -2
        torch.sigmoid_(torch.from_numpy(t))
        t *= o
        t *= 2
        np.subtract(o, t, out=shown)
        return h
