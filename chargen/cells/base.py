"""The shape that every recurrence has: what the input alone decides, and what is carried."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.stepper import Stepper
from chargen.machine.precision import kernel_dtype, no_autocast

State = tuple[Tensor, ...]
"""What a cell carries from step to step; in each tensor the first dimension is the batch's."""


class Cell(nn.Module):
    """One layer of recurrence.

    Letters of the shapes: T time steps, B rows of the batch, I input size, H hidden size,
    G = ``gates`` · H. A cell owns U (G, I) and, with biases, b (G,); what else it owns, such as
    the W of ``RecurrentCell``, is its own affair.

    ``gate_names`` are the equations' names of the blocks of H rows in W and, mostly, U.

    ``input_size`` 0 means that the input is U·x_t already: the one-hot network's U is a table
    with a row a character, which the model owns and looks up.
    """

    gates = 1
    gate_names: tuple[str, ...] = ("a",)
    zero: Tensor

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        width = self.gates * hidden_size
        self.U = nn.Parameter(torch.empty(width, input_size)) if input_size else None
        self.b = nn.Parameter(torch.empty(width)) if bias else None
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """U uniform with variance 1/(3·I), biases zero."""
        if self.U is not None:
            bound = 1 / math.sqrt(self.input_size)
            self.U.uniform_(-bound, bound, generator=generator)
        if self.b is not None:
            self.b.zero_()

    def project(self, x: Tensor) -> Tensor:
        """U·x_t + b for all rows at once: (…, I) to (…, G)."""
        if self.U is not None:
            return F.linear(x, self.U, self.b)
        return x if self.b is None else x + self.b

    def initial_state(self, batch: int) -> State:
        """The state before the first step: zeros, one tensor (B, H)."""
        return (self.zero.new_zeros(batch, self.hidden_size),)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """One time step: u (B, G) and a state to the output (B, H) and the next state."""
        raise NotImplementedError

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """T time steps: u (T, B, G) and a state to outputs (T, B, H) and the last state."""
        outputs = []
        for u_t in u.unbind(0):
            s_t, state = self.step(u_t, state)
            outputs.append(s_t)
        return torch.stack(outputs), state

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """T time steps from the input x (T, B, I); overridden where a fused kernel exists."""
        u = self.project(x)
        with no_autocast(u):
            return self.scan(u.to(state[0].dtype), state)

    def recurrent_matrix(self) -> Tensor | None:
        """What carries the last output into this step, (G, H), where one matrix does."""
        return None

    def stepper(self, inputs: int = 0) -> Stepper:
        """This cell, its weights as they are now, made ready for generation.

        Args:
            inputs: numbers a row that ``Stepper.project`` is given has; 0 for the lowest layer.
        """
        return Stepper(self, inputs)


class RecurrentCell(Cell):
    """A cell whose last output comes back through a matrix W (G, H)."""

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.W = nn.Parameter(torch.empty(self.gates * hidden_size, hidden_size))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As every cell; W orthogonal a gate."""
        super().reset_parameters(generator)
        for block in torch.split(self.W, self.hidden_size):
            nn.init.orthogonal_(block, generator=generator)

    def recurrent_matrix(self) -> Tensor:
        return self.W

    def by_kernel(
        self, run: Callable[..., Any], weights: Sequence[Tensor], x: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """As ``forward``, by one of torch's functions of a whole layer: ``torch.lstm`` and its kin.

        Cast by hand, since autocast on CUDA would make halves of everything, whatever its format.

        Args:
            run: the function.
            weights: U, W and, with biases, the input's and the recurrence's.
            x: inputs, (T, B, I).
            state: one tensor, or two.
        """
        dtype = kernel_dtype(x, self.W.dtype)
        with no_autocast(x), _weights_of_their_own(x):
            before = tuple(tensor[None].to(dtype) for tensor in state)
            outputs, *after = run(
                x.to(dtype),
                before if len(before) > 1 else before[0],
                [weight.to(dtype) for weight in weights],
                *(self.b is not None, 1, 0.0, self.training, False, False),
            )
        pairs = zip(after, state, strict=True)
        return outputs, tuple(new[0].to(old.dtype) for new, old in pairs)


@contextlib.contextmanager
def _weights_of_their_own(x: Tensor) -> Iterator[None]:
    """A block in which cuDNN doesn't warn that it packs the weights at every call.

    Parameters that lie in memory one by one are what checkpoints and optimisers work on; a window
    of many steps is worth one copy.
    """
    if not x.is_cuda:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single")
        yield
