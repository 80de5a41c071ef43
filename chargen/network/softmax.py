"""−log softmax over a large vocabulary, without ever storing all of it.

For N positions the logits are N × |V| numbers, more than all else that training holds. Here they
exist for a few hundred positions at a time, in one buffer that is turned from logits into
probabilities into gradients in place.

In a ``torch.autocast`` block s is cast to its format, and so is all that is multiplied, with a
product in the same format; probabilities, the loss and the sums of gradients keep that of V.
"""

from __future__ import annotations

from typing import Any

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


class _SoftmaxLoss(torch.autograd.Function):
    """Mean −log softmax(V·s + c)[target]; the gradients are made on the way forward.

    With p = softmax(o) and y one-hot: N ∂L/∂o = p − y, ∂L/∂V = Σ ∂L/∂o sᵀ, ∂L/∂c = Σ ∂L/∂o,
    ∂L/∂s = Vᵀ ∂L/∂o; the 1/N comes last, where the arrays are small.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, V: Tensor, c: Tensor | None, targets: Tensor) -> Tensor:
        count, rows = len(s), _rows_at_once(len(V))
        buffer = V.new_empty(min(rows, count), len(V))
        grad_s, grad_V = torch.empty_like(s), torch.zeros_like(V)
        V = V.to(s.dtype)
        grad_c = None if c is None else torch.zeros_like(c)
        total = buffer.new_zeros(())
        for start in range(0, count, rows):
            part = slice(start, start + rows)
            wanted = targets[part, None]
            o = _logits_into(buffer, s[part], V, c)
            nats, p = _softmax_in_place(o, wanted)
            total += nats.sum()
            p.scatter_add_(1, wanted, p.new_full((), -1.0).expand_as(wanted))
            if grad_c is not None:
                grad_c += p.sum(dim=0)
            p = p.to(s.dtype)
            torch.mm(p, V, out=grad_s[part])
            if p.dtype == grad_V.dtype:
                grad_V.addmm_(p.T, s[part])
            else:
                grad_V += torch.mm(p.T, s[part])
        ctx.save_for_backward(grad_s, grad_V, grad_c)
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        grad_s, grad_V, grad_c = ctx.saved_tensors
        share = grad_loss / len(grad_s)
        return grad_s * share, grad_V * share, None if grad_c is None else grad_c * share, None


def softmax_loss(s: Tensor, V: Tensor, c: Tensor | None, targets: Tensor) -> Tensor:
    """Mean over N positions of −log softmax(V·s + c)[target], in nats.

    Args:
        s: outputs of the last layer, (N, H).
        V: output weights, (|V|, H).
        c: output biases, (|V|,), or None.
        targets: ids of the characters that came next, (N,), int64.
    """
    if not torch.is_grad_enabled():
        return score_targets(s, V, c, targets)[0].mean()
    s = s.to(product_dtype(s))
    with no_autocast(s):
        return _SoftmaxLoss.apply(s, V, c, targets)  # type: ignore[no-untyped-call, no-any-return]
