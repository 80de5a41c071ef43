"""What all cells have in common: a part that needs the input alone, and a step that carries."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.machine.precision import no_autocast

State = tuple[Tensor, ...]
"""What a cell carries from step to step; the first dimension of each tensor is the batch."""


class Cell(nn.Module):
    """One recurrent layer.

    Letters in shapes: T time steps, B rows of the batch, I input size, H hidden size, and
    G = ``gates`` · H. Every cell has input weights U (G, I) and, with ``bias``, biases b (G,);
    subclasses add parameters of their own.

    Args:
        input_size: I. With 0 the cell has no U, and its input is U·x_t already: the model looks
            it up in a table with one row per piece (the one-hot network).
        hidden_size: H.
        bias: whether the cell has biases.
        gate_names: the equations' names for the blocks of H rows in U, and in W where there is one.

    Attributes:
        gates: the number of those blocks.
    """

    zero: Tensor
    carries = True
    """Whether a step depends on the state."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        gate_names: tuple[str, ...] = ("a",),
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.gate_names = gate_names
        self.gates = len(gate_names)
        width = self.gates * hidden_size
        self.U = nn.Parameter(torch.empty(width, input_size)) if input_size else None
        self.b = nn.Parameter(torch.empty(width)) if bias else None
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw U uniformly with variance 1/(3·I), and set the biases to zero."""
        if self.U is not None:
            bound = 1 / math.sqrt(self.input_size)
            self.U.uniform_(-bound, bound, generator=generator)
        if self.b is not None:
            self.b.zero_()

    def project(self, x: Tensor) -> Tensor:
        """Compute U·x + b for all rows at once: (…, I) to (…, G)."""
        if self.U is not None:
            return F.linear(x, self.U, self.b)
        return x if self.b is None else x + self.b

    def initial_state(self, batch: int) -> State:
        """Return the state before the first step: one tensor of zeros, (B, H)."""
        return (self.zero.new_zeros(batch, self.hidden_size),)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """Make one time step: from u (B, G) and a state to the output (B, H) and the next state."""
        raise NotImplementedError

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """Make T time steps: from u (T, B, G) and a state to outputs (T, B, H) and a state."""
        outputs = []
        for u_t in u.unbind(0):
            s_t, state = self.step(u_t, state)
            outputs.append(s_t)
        return torch.stack(outputs), state

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Make T time steps from the input x (T, B, I): ``scan(project(x))``."""
        u = self.project(x)
        with no_autocast(u):
            return self.scan(u.to(state[0].dtype), state)

    def recurrent_matrix(self) -> Tensor | None:
        """Return the matrix (G, H) that carries the last output into a step, if there is one."""
        return None


class RecurrentCell(Cell):
    """A cell whose last output comes back through a matrix W (G, H)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        gate_names: tuple[str, ...] = ("a",),
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias, gate_names=gate_names)
        self.W = nn.Parameter(torch.empty(self.gates * hidden_size, hidden_size))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw U and b as every cell does, and each gate's block of W as an orthogonal matrix."""
        super().reset_parameters(generator)
        for block in torch.split(self.W, self.hidden_size):
            nn.init.orthogonal_(block, generator=generator)

    def recurrent_matrix(self) -> Tensor:
        return self.W
