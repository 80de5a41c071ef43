"""The simple recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import RecurrentCell, State


class RNN(RecurrentCell):
    """The plain recurrence.

    s_t = f(U x_t + W s_{t−1} + b), with f = tanh, sigmoid or relu

    Shapes: x_t (B, I), s_t (B, H), U (H, I), W (H, H), b (H,).

    W starts orthogonal, which keeps the length of a state, or as the identity, which keeps the
    state itself and is meant for relu.

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
        f = ACTIVATIONS[self.activation].function
        s = f(u + s @ self.W.T)
        return s, (s,)
