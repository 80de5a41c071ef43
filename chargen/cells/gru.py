"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
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


class GRU(RecurrentCell):
    """An LSTM's gates without its second state.

    r, z from σ(U x_t + W h_{t−1} + b), with
    n = tanh(U_n x_t + b_n + r ⊙ (W_n h_{t−1} + d))
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}

    Shapes: x_t (B, I), h_t (B, H), U (3H, I), W (3H, H), b (3H,), d (H,).

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP
    2014, in the variant of cuDNN and torch, where r acts after the product with W_n.
    """

    gates = 3
    gate_names = ("r", "z", "n")

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
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

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        d = self.zero.new_zeros(self.hidden_size) if self.d is None else self.d
        outputs, h = _Unrolled.apply(u, self.W, d, *state)  # type: ignore[no-untyped-call]
        return outputs, (h,)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As ``scan(project(x))``, by cuDNN on a GPU."""
        if x.is_cuda and self.U is not None:
            return self.fused(self.U, x, state)
        return super().forward(x, state)

    def fused(self, U: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        """By torch's own function, for an input that isn't one-hot."""
        weights: list[Tensor] = [U, self.W]
        if self.b is not None and self.d is not None:
            weights += [self.b, F.pad(self.d, [2 * self.hidden_size, 0])]
        return self.by_kernel(torch.gru, weights, x, state)

    def stepper(self, inputs: int = 0) -> Stepper:
        return GRUStepper(self, inputs)


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
