"""Jordan's network: what comes back is the output."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.activations import ACTIVATIONS, Activation
from chargen.cells.base import Cell, State
from chargen.cells.unrolled import backwards, forwards, history, weight_gradient


class Output(NamedTuple):
    """The model's output layer, which the model hands to a cell that wants the output back.

    Attributes:
        V: weights, (|V|, H).
        c: biases, (|V|,), or None.
    """

    V: Tensor
    c: Tensor | None


class Jordan(Cell):
    """A recurrence through the output alone.

    h_t = f(U x_t + W o_{t−1} + b), where o_{t−1} = softmax(V h_{t−1} + c) is the model's own.

    With ``teacher_forcing`` the true character stands in o's place. The one that o_{t−1} should
    have told is x_t, which U sees already; so it is the one before:
    h_t = f(U x_t + W x_{t−1} + b).
    Nothing is carried but that character: time steps are independent, and the network sees two
    characters and no more. U and W then multiply the same input, and are kept as one matrix.

    Shapes: x_t (B, I), h_t (B, H), o_t (B, |V|), U (H, I), W (H, |V|), b (H,); with teacher
    forcing U and W together (2H, I). The state is h_{t−1}, or W x_{t−1}, (B, H).

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
        self.gates = 2 if teacher_forcing else 1
        super().__init__(input_size, hidden_size, bias=bias)
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
        """As every cell; W uniform in ±1, since a softmax is short."""
        super().reset_parameters(generator)
        if self.W is not None:
            self.W.uniform_(-1, 1, generator=generator)

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        f, (carried,) = ACTIVATIONS[self.activation].function, state
        if self.output is None or self.W is None:
            u, after = u.chunk(2, dim=-1)
            return f(u + carried), (after,)
        o = torch.softmax(F.linear(carried, *self.output), dim=-1)
        h = f(u + o @ self.W.T)
        return h, (h,)

    def scan(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        f, (carried,) = ACTIVATIONS[self.activation], state
        if self.output is None or self.W is None:
            u, seen = u.chunk(2, dim=-1)
            return f.function(u + torch.cat([carried[None], seen[:-1]])), (seen[-1],)
        outputs, h = _Unrolled.apply(u, self.W, *self.output, carried, f)  # type: ignore[no-untyped-call]
        return outputs, (h,)


class _Unrolled(torch.autograd.Function):
    """Backwards: δ_t = ∂L/∂h_t ⊙ f′; through the softmax, ε_t = o ⊙ (Wᵀδ_t − o·Wᵀδ_t); Vᵀε_t."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        W: Tensor,
        V: Tensor,
        c: Tensor | None,
        h_0: Tensor,
        f: Activation,
    ) -> tuple[Tensor, Tensor]:
        h, o = history(h_0, len(u)), u.new_empty(*u.shape[:2], len(V))
        W_T, V_T = W.T.contiguous(), V.T.contiguous()
        offset = V.new_zeros(len(V)) if c is None else c
        for u_t, o_t, before, after in forwards(u, o, h[:-1], h[1:]):
            torch.softmax(torch.addmm(offset, before, V_T, out=o_t), dim=-1, out=o_t)
            f.in_place(torch.addmm(u_t, o_t, W_T, out=after))
        ctx.save_for_backward(h, o, W, V, c)
        ctx.f = f
        return h[1:], h[-1]

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor, later: Tensor) -> tuple[Tensor | None, ...]:
        h, o, W, V, c = ctx.saved_tensors
        delta, epsilon = torch.empty_like(h[1:]), torch.empty_like(o)
        later = later.clone()
        for grad, o_t, after, out, out_V in backwards(grad_h, o, h[1:], delta, epsilon):
            ctx.f.backward(later.add_(grad), after, out)
            at_o = torch.mm(out, W, out=out_V).mul_(o_t)
            at_o.addcmul_(o_t, at_o.sum(dim=-1, keepdim=True), value=-1)
            torch.mm(at_o, V, out=later)
        at_c = None if c is None else epsilon.sum(dim=(0, 1))
        return (
            delta,
            weight_gradient(delta, o),
            weight_gradient(epsilon, h[:-1]),
            at_c,
            later,
            None,
        )
