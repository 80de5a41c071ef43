"""The simple recurrent network, faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chargen.cells.base import Cell, State
from chargen.cells.fast.activations import FAST_ACTIVATIONS, FastActivation
from chargen.cells.fast.kernels import run_kernel
from chargen.cells.fast.rows import pad_gates, sigmoid_
from chargen.cells.fast.stepper import PaddedStepper, Stepper
from chargen.cells.fast.unrolled import backwards, forwards, history, weight_gradient
from chargen.cells.rnn import RNN

_KERNELS = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}


class FastRNN(RNN):
    """``RNN`` with a hand-written backward pass, torch's kernel on a GPU, and a stepper."""

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        f = FAST_ACTIVATIONS[self.activation]
        outputs, s = _Unrolled.apply(u, self.W, *state, f)  # type: ignore[no-untyped-call]
        return outputs, (s,)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Make T time steps from the input x (T, B, I), with cuDNN where it knows f."""
        if x.is_cuda and self.U is not None and self.activation in _KERNELS:
            return self.fused(x, state)
        return super().forward(x, state)

    def fused(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As ``forward``, by torch's kernel, which knows tanh and relu."""
        return run_kernel(_KERNELS[self.activation], self, x, state)

    def stepper(self, inputs: int) -> Stepper:
        return RNNStepper(self, inputs, self.W, self.activation)


class _Unrolled(torch.autograd.Function):
    """Backwards, δ_t = (∂L/∂s_t + Wᵀ δ_{t+1}) ⊙ f′(a_t) for t = T … 1."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, W: Tensor, s_0: Tensor, f: FastActivation
    ) -> tuple[Tensor, Tensor]:
        s = history(s_0, len(u))
        W_T = W.T.contiguous()
        for u_t, before, after in forwards(u, s[:-1], s[1:]):
            f.in_place(torch.addmm(u_t, before, W_T, out=after))
        ctx.save_for_backward(s, W)
        ctx.f = f
        return s[1:], s[-1]

    @staticmethod
    def backward(ctx: Any, grad_s: Tensor, later: Tensor) -> tuple[Tensor | None, ...]:
        s, W = ctx.saved_tensors
        delta, later = torch.empty_like(s[1:]), later.clone()
        for grad, after, out in backwards(grad_s, s[1:], delta):
            ctx.f.backward(later.add_(grad), after, out)
            torch.mm(out, W, out=later)
        return delta, weight_gradient(delta, s[:-1]), later, None


class RNNStepper(PaddedStepper):
    """The equation in place, with tanh(a) as 2σ(2a) − 1, where the weights give 2a."""

    def __init__(self, cell: Cell, inputs: int, W: Tensor, activation: str) -> None:
        self.activation = activation
        super().__init__(cell, inputs, W)

    def arrange(self, weights: Tensor, columns: int = 0) -> Tensor:
        factor = 2 if self.activation == "tanh" else 1
        return pad_gates(weights * factor, 1, columns)

    def step(self, u: Tensor, state: State) -> Tensor:
        s = state[0]
        a = self.W.add_to(u, s)
        if self.activation == "relu":
            return s.copy_(a.relu_())
        sigmoid_(a)
        return s.copy_(a.mul_(2).sub_(1) if self.activation == "tanh" else a)
