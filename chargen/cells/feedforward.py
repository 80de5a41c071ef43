"""The three-layer network, which has no recurrence."""

from __future__ import annotations

from torch import Tensor

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import Cell, State


class Feedforward(Cell):
    """A hidden layer that sees the current input and nothing else.

    h_t = f(U x_t + b), with f = tanh, sigmoid or relu

    Shapes: x_t (B, I), h_t (B, H), U (H, I), b (H,). There is no W.

    The state is h_t, the last output; no step reads it. It is there for whoever measures states:
    the gradient of a prediction is zero at every state but the last.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors",
    Nature 323, 1986. ``chargen.cells.backprop`` has its gradients by hand.
    """

    carries = False

    def __init__(
        self, input_size: int, hidden_size: int, *, bias: bool = True, activation: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.activation = activation

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:  # noqa: ARG002 — no memory
        h = ACTIVATIONS[self.activation].function(u)
        return h, (h,)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """Make T time steps at once: none depends on another."""
        h, _ = self.step(u, state)
        return h, (h[-1],)
