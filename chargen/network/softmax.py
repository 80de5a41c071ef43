"""−log softmax over a large vocabulary, without ever storing all of it.

For N positions the logits are N × |V| numbers, more than all else that training holds. Here they
exist for a few hundred positions at a time, in one buffer that is turned from logits into
probabilities into gradients in place.

In a ``torch.autocast`` block s is cast to its format, and so is all that is multiplied, with a
product in the same format; probabilities, the loss and the sums of gradients keep that of V.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from chargen.machine.precision import no_autocast, product_dtype

_BUFFER_NUMBERS = 1 << 20
"""Size of the buffer: small enough for a processor's cache, large enough for its products."""


def _rows_at_once(vocab_size: int) -> int:
    return max(64, _BUFFER_NUMBERS // vocab_size)


def _logits_into(buffer: Tensor, s: Tensor, V: Tensor, c: Tensor | None) -> Tensor:
    """V·s + c for rows s (n, H), written into the head of ``buffer``: (n, |V|)."""
    out = buffer[: len(s)]
    if s.dtype != buffer.dtype:
        out.copy_(torch.mm(s, V.T))
        return out if c is None else out.add_(c)
    if c is None:
        return torch.mm(s, V.T, out=out)
    return torch.addmm(c, s, V.T, out=out)


def _softmax_in_place(o: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Logits o (n, |V|) become probabilities; returns −log of the wanted ones (n, 1), and o.

    The likeliest probability is 1/Σ exp(o − max o), so its logarithm yields the normaliser
    exactly, even where the wanted probability underflows.
    """
    above = o.amax(dim=1, keepdim=True) - o.gather(1, wanted)
    torch.softmax(o, dim=1, out=o)
    return above - o.amax(dim=1, keepdim=True).log(), o


def score_targets(s: Tensor, V: Tensor, c: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
    """What each target costs, and whether it was the likeliest. No gradient.

    Args:
        s: outputs of the last layer, (N, H).
        V: output weights, (|V|, H).
        c: output biases, (|V|,), or None.
        targets: ids, (N,), int64.

    Returns:
        −log softmax(V·s + c)[target], in nats, (N,), and booleans, (N,).
    """
    rows, s = _rows_at_once(len(V)), s.to(V.dtype)
    nats, likeliest = s.new_empty(len(s)), targets.new_empty(len(s), dtype=torch.bool)
    with torch.no_grad():
        buffer = s.new_empty(min(rows, len(s)), len(V))
        for start in range(0, len(s), rows):
            part = slice(start, start + rows)
            o = _logits_into(buffer, s[part], V, c)
            wanted = targets[part, None]
            likeliest[part] = o.argmax(dim=1) == targets[part]
            nats[part] = _softmax_in_place(o, wanted)[0].squeeze(1)
    return nats, likeliest


Rows: TypeAlias = Callable[[Tensor], Tensor]
"""Positions (n,), int64, to the distributions P after them by counting, (n, |V|)."""


def score_mixed(
    s: Tensor,
    V: Tensor,
    c: Tensor | None,
    targets: Tensor,
    gate: Tensor,
    counted: Tensor,
    rows_of: Rows,
) -> tuple[Tensor, Tensor, Tensor]:
    """What each target costs under the mixture, and whether it was the likeliest. No gradient.

    Whole distributions by counting are asked for only where it isn't clear without them.

    Args:
        s: outputs of the last layer, (N, H).
        V: output weights, (|V|, H).
        c: output biases, (|V|,), or None.
        targets: ids, (N,), int64.
        gate: g, the network's share, (N, 1).
        counted: P of the targets by counting, (N, 1).
        rows_of: the distributions by counting at some of the N positions.

    Returns:
        −log of g · softmax(V·s + c)[target] + (1 − g) · P[target], in nats, (N,); booleans, (N,);
        and −log softmax(V·s + c)[target] alone, (N,).
    """
    rows, s = _rows_at_once(len(V)), s.to(V.dtype)
    nats, likeliest = s.new_empty(len(s)), targets.new_empty(len(s), dtype=torch.bool)
    own = torch.empty_like(nats)
    with torch.no_grad():
        buffer = s.new_empty(min(rows, len(s)), len(V))
        for start in range(0, len(s), rows):
            part = slice(start, start + rows)
            wanted, g = targets[part, None], gate[part]
            cost, p = _softmax_in_place(_logits_into(buffer, s[part], V, c), wanted)
            mixture = g * torch.exp(-cost) + (1 - g) * counted[part]
            nats[part], own[part] = -mixture.log().squeeze(1), cost.squeeze(1)
            sure = mixture > 0.5
            beaten = mixture < g * p.amax(dim=1, keepdim=True)
            likeliest[part] = sure.squeeze(1)
            at = (~sure & ~beaten).squeeze(1).nonzero().squeeze(1)
            if len(at):
                whole = g[at] * p[at] + (1 - g[at]) * rows_of(at + start).to(p)
                likeliest[at + start] = whole.argmax(dim=1) == targets[at + start]
    return nats, likeliest, own


def _mixed(nats: Tensor, gate: Tensor, counted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss with counts, (n, 1): half −log of the mixture, half −log of the network alone.

    Args:
        nats: −log p(x) of the network, (n, 1).
        gate: g, the network's share of the mixture, (n, 1).
        counted: P(x) by counting, (n, 1).

    Returns:
        The loss; what ∂L/∂o = p − y is to be multiplied by, 1/2 + 1/2 of the share of the mixture's
        probability that is the network's; and ∂L/∂g.
    """
    p = torch.exp(-nats)
    own = gate * p
    mixture = own + (1 - gate) * counted
    loss = 0.5 * (nats - mixture.log())
    return loss, 0.5 + 0.5 * own / mixture, 0.5 * (counted - p) / mixture


class _SoftmaxLoss(torch.autograd.Function):
    """Mean −log softmax(V·s + c)[target]; the gradients are made on the way forward.

    With p = softmax(o) and y one-hot: N ∂L/∂o = p − y, ∂L/∂V = Σ ∂L/∂o sᵀ, ∂L/∂c = Σ ∂L/∂o,
    ∂L/∂s = Vᵀ ∂L/∂o; the 1/N comes last, where the arrays are small, and so does the factor of a
    row in a mixture.
    """

    @staticmethod
    def forward(
        ctx: Any,
        s: Tensor,
        V: Tensor,
        c: Tensor | None,
        targets: Tensor,
        gate: Tensor | None,
        counted: Tensor | None,
    ) -> Tensor:
        count, rows = len(s), _rows_at_once(len(V))
        buffer = V.new_empty(min(rows, count), len(V))
        grad_s, grad_V = torch.empty_like(s), torch.zeros_like(V)
        grad_gate = None if gate is None else torch.empty_like(gate)
        V = V.to(s.dtype)
        grad_c = None if c is None else torch.zeros_like(c)
        total = buffer.new_zeros(())
        for start in range(0, count, rows):
            part = slice(start, start + rows)
            wanted, x = targets[part, None], s[part]
            nats, p = _softmax_in_place(_logits_into(buffer, x, V, c), wanted)
            p.scatter_add_(1, wanted, p.new_full((), -1.0).expand_as(wanted))
            weight = None
            if gate is not None and counted is not None and grad_gate is not None:
                nats, weight, grad_gate[part] = _mixed(nats, gate[part], counted[part])
                x = x * weight.to(x.dtype)
            total += nats.sum()
            if grad_c is not None:
                grad_c += p.sum(dim=0) if weight is None else p.T @ weight[:, 0]
            p = p.to(s.dtype)
            torch.mm(p, V, out=grad_s[part])
            if weight is not None:
                grad_s[part] *= weight
            if p.dtype == grad_V.dtype:
                grad_V.addmm_(p.T, x)
            else:
                grad_V += torch.mm(p.T, x)
        ctx.save_for_backward(grad_s, grad_V, grad_c, grad_gate)
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        share = grad_loss / len(ctx.saved_tensors[0])
        at_s, at_V, at_c, at_gate = (
            None if grad is None else grad * share for grad in ctx.saved_tensors
        )
        return at_s, at_V, at_c, None, at_gate, None


def softmax_loss(
    s: Tensor,
    V: Tensor,
    c: Tensor | None,
    targets: Tensor,
    gate: Tensor | None = None,
    counted: Tensor | None = None,
) -> Tensor:
    """Mean over N positions of −log softmax(V·s + c)[target], in nats.

    With ``gate`` and ``counted`` it is half of that and half −log of the mixture
    g · softmax(V·s + c)[target] + (1 − g) · P[target].

    Args:
        s: outputs of the last layer, (N, H).
        V: output weights, (|V|, H).
        c: output biases, (|V|,), or None.
        targets: ids of the characters that came next, (N,), int64.
        gate: g, (N, 1).
        counted: P of the targets by counting, (N, 1).
    """
    if not torch.is_grad_enabled():
        nats = score_targets(s, V, c, targets)[0]
        if gate is not None and counted is not None:
            nats = _mixed(nats[:, None], gate, counted)[0]
        return nats.mean()
    s = s.to(product_dtype(s))
    with no_autocast(s):
        return _SoftmaxLoss.apply(s, V, c, targets, gate, counted)  # type: ignore[no-untyped-call, no-any-return]
