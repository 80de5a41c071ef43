"""Jordan's network, whose recurrence passes through the output."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import Cell, State


class Output(NamedTuple):
    """The model's output layer, lent to a cell that is fed the model's output.

    Attributes:
        V: weights, (|V|, H).
        c: biases, (|V|,), or None.
    """

    V: Tensor
    c: Tensor | None


class Jordan(Cell):
    """A recurrence through the output alone.

    o_{t−1} = softmax(V h_{t−1} + c), with the model's own V and c
    h_t = f(U x_t + W o_{t−1} + b)

    With ``teacher_forcing`` the true character takes the place of the prediction. The character
    that o_{t−1} predicts is x_t, which U sees anyway; so W sees the one before:
    h_t = f(U x_t + W x_{t−1} + b).
    The network then sees two characters and no more, and no time step depends on another. As U
    and W multiply the same inputs, they are kept as one matrix.

    Shapes: x_t (B, I), h_t (B, H), o_t (B, |V|), U (H, I), W (H, |V|), b (H,); with teacher
    forcing, U and W together (2H, I), and b (2H,). The state is h_{t−1}, or W x_{t−1}, (B, H).

    Source: Jordan, "Serial order: a parallel distributed processing approach", 1986; teacher
    forcing as in Goodfellow, Bengio and Courville, "Deep learning", 2016, section 10.2.1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        activation: str = "tanh",
        teacher_forcing: bool = False,
        output: Output | None = None,
    ) -> None:
        blocks = ("U", "W") if teacher_forcing else ("a",)
        super().__init__(input_size, hidden_size, bias=bias, gate_names=blocks)
        self.activation = activation
        self.output: Output | None = None
        self.W: Tensor | None = None
        if not teacher_forcing:
            if output is None:
                raise ValueError("without teacher forcing, the output layer is needed")
            self.output = output
            self.W = nn.Parameter(torch.empty(hidden_size, len(output.V)))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As in every cell; W uniform in ±1, because a softmax is a short vector."""
        super().reset_parameters(generator)
        if self.W is not None:
            self.W.uniform_(-1, 1, generator=generator)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        f = ACTIVATIONS[self.activation].function
        (before,) = state
        if self.output is None or self.W is None:
            from_x, for_next = u.chunk(2, dim=-1)
            return f(from_x + before), (for_next,)
        o = torch.softmax(F.linear(before, *self.output), dim=-1)
        h = f(u + o @ self.W.T)
        return h, (h,)
