"""The simple recurrent network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.activations import ACTIVATIONS, Activation
from chargen.cells.base import Cell, RecurrentCell, State
from chargen.cells.rows import RowProduct, pad_gates, padded, sigmoid_
from chargen.cells.stepper import Stepper
from chargen.cells.unrolled import backwards, forwards, history, weight_gradient

_FUSED = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}


class RNN(RecurrentCell):
    """s_t = f(U x_t + W s_{t−1} + b), with f = tanh, sigmoid or relu.

    Shapes: x_t (B, I), s_t (B, H), U (H, I), W (H, H), b (H,).

    W starts orthogonal, which keeps a state's length, or as the identity, which keeps the state
    itself: meant for relu.

    Source: Elman, "Finding structure in time", Cognitive Science 14, 1990; the identity by Le,
    Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units",
    2015.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        activation: str = "tanh",
        recurrent_init: str = "orthogonal",
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.activation = activation
        self.recurrent_init = recurrent_init

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        if self.recurrent_init == "identity":
            nn.init.eye_(self.W)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (s,) = state
        s = ACTIVATIONS[self.activation].function(u + s @ self.W.T)
        return s, (s,)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, s = _Unrolled.apply(u, self.W, *state, ACTIVATIONS[self.activation])  # type: ignore[no-untyped-call]
        return outputs, (s,)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As ``scan(project(x))``, by cuDNN on a GPU where it has f."""
        if x.is_cuda and self.U is not None and self.activation in _FUSED:
            return self.fused(self.U, x, state)
        return super().forward(x, state)

    def fused(self, U: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        """By torch's own function, for f = tanh or relu and an input that isn't one-hot."""
        weights: list[Tensor] = [U, self.W]
        if self.b is not None:
            weights += [self.b, torch.zeros_like(self.b)]
        return self.by_kernel(_FUSED[self.activation], weights, x, state)

    def stepper(self, inputs: int = 0) -> Stepper:
        return RNNStepper(self, inputs, self.activation, self.W)


class _Unrolled(torch.autograd.Function):
    """Backwards, δ_t = (∂L/∂s_t + Wᵀ δ_{t+1}) ⊙ f′(a_t) for t = T … 1."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, W: Tensor, s_0: Tensor, f: Activation
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


class RNNStepper(Stepper):
    """The same equation in place; tanh(x) is 2σ(2x) − 1, with weights that are doubled."""

    def __init__(self, cell: Cell, inputs: int, activation: str, W: Tensor) -> None:
        self.activation = activation
        super().__init__(cell, inputs)
        self.outputs = padded(cell.hidden_size)
        self.W = RowProduct(self.gates(W.detach(), self.outputs))
        self.tile = self.W.tile

    def gates(self, weights: Tensor, columns: int = 0) -> Tensor:
        factor = 2 if self.activation == "tanh" else 1
        return pad_gates(weights * factor, 1, columns)

    def initial_state(self, rows: int) -> State:
        s, *rest = self.cell.initial_state(rows)
        return F.pad(s, [0, self.outputs - s.shape[1]]), *rest

    def step(self, u: Tensor, state: State) -> Tensor:
        s = state[0]
        a = self.W.add_to(u, s)
        if self.activation == "relu":
            return s.copy_(a.relu_())
        sigmoid_(a)
        return s.copy_(a.mul_(2).sub_(1) if self.activation == "tanh" else a)
