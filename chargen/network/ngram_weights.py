"""What learnt n-grams say of a text's label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

_SCALE = 10.0
_LEAST = 2


class Found(NamedTuple):
    """The n-grams of one length in texts: rows that stand for them, (T', B), and which count."""

    rows: Tensor
    counts: Tensor


class NgramWeights(nn.Module):
    """A linear model over the n-grams of a text, of which each has a weight a value.

    ℓ_y = α Σ_t x_t W[g_t, y] / |x|,   x_t = 1 + log max(1, texts / N_g)

    g_t are the n-grams of all lengths, the rarer the heavier. An n-gram that occurs once, or isn't
    among the R most frequent, is left out. α = 10 lets W, which begins at 0, learn soon. W
    descends by its gradient alone: AdamW would let rare n-grams learn as fast as frequent ones.

    Letters in shapes: T time steps, B texts, L values, R n-grams.

    Source: Joachims, "Text categorization with support vector machines", ECML 1998, for the
    weights x; here the loss is that of a softmax.

    Args:
        rows: numbers of all n-grams that are known.
        kept: R.
        values: L.

    Attributes:
        W: (R + 1, L); the last row is for those that are left out, and x is 0 there.
        slots: row of W for each n-gram that is known, int32.
        x: (R + 1,).
    """

    slots: Tensor
    x: Tensor

    def __init__(self, rows: int, kept: int, values: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(kept + 1, values))
        self.register_buffer("slots", torch.full((rows,), kept, dtype=torch.int32))
        self.register_buffer("x", torch.zeros(kept + 1))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the weights that training begins with; they aren't drawn."""
        self.W.zero_()

    @torch.no_grad()
    def learn(self, often: Tensor, texts: int) -> None:
        """Choose the n-grams, which occur ``often`` (rows,) in a number of texts."""
        kept = len(self.x) - 1
        order = often.argsort(descending=True, stable=True)[:kept]
        order = order[often[order] >= _LEAST]
        self.slots[order] = torch.arange(len(order), device=often.device, dtype=torch.int32)
        self.x[: len(order)] = 1 + (texts / often[order].float()).clamp(min=1).log()

    def forward(self, found: Sequence[Found]) -> Tensor:
        """Return ℓ of texts, (B, L)."""
        slots = torch.cat([self.slots[each.rows] for each in found]).long()  # (ΣT', B)
        x = self.x[slots] * torch.cat([each.counts for each in found])
        x = x / x.norm(dim=0).clamp(min=1)
        says: Tensor = torch.einsum("tb,tbl->bl", x, self.W[slots])
        return _SCALE * says
