"""The clockwork recurrent network, faster: modules that are not due cost nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import State
from chargen.cells.clockwork import Clock, Clockwork
from chargen.cells.fast.activations import FAST_ACTIVATIONS, FastActivation
from chargen.cells.fast.rnn import RNNStepper
from chargen.cells.fast.stepper import Stepper
from chargen.cells.fast.unrolled import backwards, forwards, history


class FastClockwork(Clockwork):
    """``Clockwork`` with a hand-written backward pass, and a stepper."""

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """Make one time step; a module that is due in no row is left out."""
        s, t = state
        f = ACTIVATIONS[self.activation].function
        times = set(t.tolist())
        modules, rest = [], 0
        for W_k, (first, end, period) in zip(self.W, self.clocks, strict=True):
            if not any(time % period == 0 for time in times):
                break  # slower modules are due even less often
            s_k = f(u[:, first:end] + s[:, first:] @ W_k.T)
            due = t % period == 0
            modules.append(torch.where(due[:, None], s_k, s[:, first:end]))
            rest = end
        s = torch.cat([*modules, s[:, rest:]], dim=-1)
        return s, (s, t + 1)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        """Make T time steps; by the hand-written pass where all rows are at the same t."""
        s, t = state
        if (t != t[0]).any():
            return super().scan(u, state)
        f, W = FAST_ACTIVATIONS[self.activation], self.recurrent_matrix()
        outputs, s = _Unrolled.apply(u, W, s, f, self.clocks, int(t[0]))  # type: ignore[no-untyped-call]
        return outputs, (s, t + len(u))

    def stepper(self, inputs: int) -> Stepper:
        return ClockworkStepper(self, inputs)


class _Unrolled(torch.autograd.Function):
    """All rows at the same t: the modules that are due are the first ``width`` units.

    Backwards, δ_t = (∂L/∂s_t + the error from later steps) ⊙ f′ for units that updated; the error
    of the others is passed on unchanged.
    """

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        W: Tensor,
        s_0: Tensor,
        f: FastActivation,
        clocks: tuple[Clock, ...],
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


class ClockworkStepper(RNNStepper):
    """All modules are computed, so that no row's bits depend on others; those due are kept."""

    def __init__(self, cell: Clockwork, inputs: int) -> None:
        super().__init__(cell, inputs, cell.recurrent_matrix(), cell.activation)
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
