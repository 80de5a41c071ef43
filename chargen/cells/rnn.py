"""The simple recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.base import Cell, State
from chargen.cells.rows import RowProduct, pad_gates, padded, sigmoid_
from chargen.cells.stepper import Stepper

_FUNCTIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu}


class RNN(Cell):
    """s_t = f(U x_t + W s_{t−1} + b), with f = tanh, sigmoid or relu.

    Shapes: x_t (B, I), s_t (B, H), U (H, I), W (H, H), b (H,).

    Source: Elman, "Finding structure in time", Cognitive Science 14, 1990.
    """

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (s,) = state
        s = _FUNCTIONS[self.activation](u + s @ self.W.T)
        return s, (s,)

    def stepper(self, inputs: int = 0) -> Stepper:
        return RNNStepper(self, inputs)


class RNNStepper(Stepper):
    """The same equation in place; tanh(x) is 2σ(2x) − 1, with weights that are doubled."""

    def __init__(self, cell: Cell, inputs: int) -> None:
        super().__init__(cell, inputs)
        self.outputs = padded(cell.hidden_size)
        self.W = RowProduct(self.gates(cell.W.detach(), self.outputs))
        self.tile = self.W.tile

    def gates(self, weights: Tensor, columns: int = 0) -> Tensor:
        factor = 2 if self.cell.activation == "tanh" else 1
        return pad_gates(weights * factor, 1, columns)

    def initial_state(self, rows: int) -> State:
        (s,) = self.cell.initial_state(rows)
        return (F.pad(s, [0, self.outputs - s.shape[1]]),)

    def step(self, u: Tensor, state: State) -> Tensor:
        (s,) = state
        a = self.W.add_to(u, s)
        if self.cell.activation == "relu":
            return s.copy_(a.relu_())
        sigmoid_(a)
        return s.copy_(a.mul_(2).sub_(1) if self.cell.activation == "tanh" else a)
