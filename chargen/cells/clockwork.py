"""The clockwork recurrent network."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.activations import ACTIVATIONS, Activation
from chargen.cells.base import Cell, State
from chargen.cells.rnn import RNNStepper
from chargen.cells.stepper import Stepper
from chargen.cells.unrolled import backwards, forwards, history


class Module(NamedTuple):
    """Units ``first`` to ``end`` − 1, which update when t mod ``period`` = 0."""

    first: int
    end: int
    period: int


class Clockwork(Cell):
    """Modules of units, each with a clock of its own.

    Module k updates when t mod 2ᵏ = 0, and then sees itself and all slower modules:
    s_t[k] = f(U_k x_t + Σ_{j ≥ k} W_kj s_{t−1}[j] + b_k); otherwise s_t[k] = s_{t−1}[k].

    Shapes: x_t (B, I), s_t (B, H) with the fastest module first, U (H, I), b (H,). W is (H, H),
    block-triangular: of its rows only what is not zero by definition is kept, a matrix a module.
    A state also holds t, the steps that a row has made, (B,) int64.

    Source: Koutník, Greff, Gomez and Schmidhuber, "A clockwork RNN", ICML 2014.
    """

    periods: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        activation: str = "tanh",
        modules: int = 4,
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.activation = activation
        self.clocks = _clocks(hidden_size, min(modules, hidden_size))
        periods = torch.tensor([clock.period for clock in self.clocks])
        self.register_buffer("periods", periods, persistent=False)
        self.W = nn.ParameterList(
            torch.empty(clock.end - clock.first, hidden_size - clock.first) for clock in self.clocks
        )

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As every cell; the rows of each module's W orthonormal."""
        super().reset_parameters(generator)
        for block in self.W:
            nn.init.orthogonal_(block, generator=generator)

    def recurrent_matrix(self) -> Tensor:
        """W as a whole, (H, H), with the zeros."""
        rows = zip(self.W, self.clocks, strict=True)
        return torch.cat([F.pad(block, [clock.first, 0]) for block, clock in rows])

    def initial_state(self, batch: int) -> State:
        """S, zeros (B, H), and t, zeros (B,)."""
        t = torch.zeros(batch, dtype=torch.int64, device=self.zero.device)
        return self.zero.new_zeros(batch, self.hidden_size), t

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        s, t = state
        f = ACTIVATIONS[self.activation].function
        due = t[:, None] % self.periods == 0
        in_any_row = int(due.any(0).sum())  # the first ones: faster clocks tick with slower ones
        parts, rest = [], 0
        for k, (first, end, _) in enumerate(self.clocks[:in_any_row]):
            s_k = f(u[:, first:end] + s[:, first:] @ self.W[k].T)
            parts.append(torch.where(due[:, k : k + 1], s_k, s[:, first:end]))
            rest = end
        s = torch.cat([*parts, s[:, rest:]], dim=-1)
        return s, (s, t + 1)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        s, t = state
        if (t != t[0]).any():
            return super().scan(u, state)
        f, W = ACTIVATIONS[self.activation], self.recurrent_matrix()
        outputs, s = _Unrolled.apply(u, W, s, f, self.clocks, int(t[0]))  # type: ignore[no-untyped-call]
        return outputs, (s, t + len(u))

    def stepper(self, inputs: int = 0) -> Stepper:
        return ClockworkStepper(self, inputs)


class ClockworkStepper(RNNStepper):
    """All modules compute, so that a row's bits don't depend on others; those due take it over."""

    def __init__(self, cell: Clockwork, inputs: int) -> None:
        super().__init__(cell, inputs, cell.activation, cell.recurrent_matrix())
        periods = torch.ones(self.outputs, dtype=torch.int64)
        for first, end, period in cell.clocks:
            periods[first:end] = period
        self.periods = periods.to(cell.zero.device)

    def step(self, u: Tensor, state: State) -> Tensor:
        s, t = state
        before, waits = s.clone(), t[:, None] % self.periods != 0
        super().step(u, state)
        t += 1
        return torch.where(waits, before, s, out=s)


def _clocks(units: int, modules: int) -> tuple[Module, ...]:
    """``units`` shared out to modules of periods 1, 2, 4, …, as evenly as can be."""
    edges = [units * k // modules for k in range(modules + 1)]
    return tuple(Module(edges[k], edges[k + 1], 2**k) for k in range(modules))


class _Unrolled(torch.autograd.Function):
    """All rows at the same t: the modules that are due are the first units, up to ``width``.

    Backwards, δ_t = (∂L/∂s_t + what later steps pass on) ⊙ f′ for the units that updated; what
    reached the others is passed on as it is.
    """

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        W: Tensor,
        s_0: Tensor,
        f: Activation,
        clocks: tuple[Module, ...],
        t_0: int,
    ) -> tuple[Tensor, Tensor]:
        s = history(s_0, len(u))
        W_T = W.T.contiguous()
        times = range(t_0, t_0 + len(u))
        widths = [max(c.end for c in clocks if t % c.period == 0) for t in times]
        for width, (u_t, before, after) in zip(widths, forwards(u, s[:-1], s[1:]), strict=True):
            torch.addmm(u_t[:, :width], before, W_T[:, :width], out=after[:, :width])
            f.in_place(after[:, :width])
            after[:, width:] = before[:, width:]
        ctx.save_for_backward(s, W)
        ctx.f, ctx.clocks, ctx.times, ctx.widths = f, clocks, times, widths
        return s[1:], s[-1]

    @staticmethod
    def backward(ctx: Any, grad_s: Tensor, later: Tensor) -> tuple[Tensor | None, ...]:
        s, W = ctx.saved_tensors
        delta, later = torch.zeros_like(s[1:]), later.clone()
        steps = backwards(grad_s, s[1:], delta)
        for width, (grad, after, out) in zip(reversed(ctx.widths), steps, strict=True):
            later += grad
            ctx.f.backward(later[:, :width], after[:, :width], out[:, :width])
            later[:, :width] = 0
            later.addmm_(out[:, :width], W[:width])
        at_W = torch.zeros_like(W)
        for first, end, period in ctx.clocks:
            due = slice(-ctx.times[0] % period, None, period)
            own, seen = delta[due, :, first:end], s[:-1][due, :, first:]
            at_W[first:end, first:] = own.flatten(0, 1).T @ seen.flatten(0, 1)
        return delta, at_W, later, None, None, None
