"""A piece for each row of weights, by the inverse of the cumulative distribution."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 64
"""Pieces a block of the two-level inverse CDF; |V'| is a multiple of it."""

_SINGLY = 4
"""Up to so many rows are drawn from one by one on a CPU."""


def draw(p: Tensor, u: Tensor) -> Tensor:
    """The inverse of the cumulative distribution: ids, (B,), int64.

    The block that u falls into is found first, then the piece in it: two short cumulative sums
    take the place of one long one.

    Args:
        p: weights ≥ 0, (B, |V'|), not all of a row 0; they need not sum to 1.
        u: (B, 1), float64, multiples of 2⁻⁵² in [0, 1).
    """
    if p.shape[0] <= _SINGLY and p.device.type == "cpu":
        sums = p.view(p.shape[0], -1, BLOCK).sum(2).numpy()
        rows = zip(p.numpy(), sums, u.squeeze(1).tolist(), strict=True)
        return torch.from_numpy(np.array([_draw_one(*row) for row in rows]))
    reached = block_sums(p)
    target = reached[:, -1:] * u
    block = torch.searchsorted(reached, target, right=True).sub_(1)
    inside = p.view(len(p), -1, BLOCK).gather(1, block[:, :, None].expand(-1, 1, BLOCK))
    within = inside.squeeze(1).cumsum(1, dtype=torch.float64)
    # The block's own sum may differ from its share of the row's by a rounding.
    rest = target.sub_(reached.gather(1, block)).minimum(within[:, -1:] * (1 - 2.0**-50))
    return block.mul_(BLOCK).add_(torch.searchsorted(within, rest, right=True)).squeeze(1)


def _draw_one(p: NDArray[np.float32], sums: NDArray[np.float32], u: float) -> int:
    """``draw`` for a row (|V'|,) and its block sums (|V'| / BLOCK,), with the same bits."""
    reached = sums.cumsum(dtype=np.float64)
    target = float(reached[-1]) * u
    block = int(reached.searchsorted(target, "right"))
    start = block * BLOCK
    within = p[start : start + BLOCK].cumsum(dtype=np.float64)
    rest = target - float(reached[block - 1]) if block else target
    rest = min(rest, float(within[-1]) * (1 - 2.0**-50))
    return start + int(within.searchsorted(rest, "right"))


def block_sums(p: Tensor) -> Tensor:
    """Cumulative sums of the blocks after a 0, (B, |V'| / BLOCK + 1), float64."""
    sums = p.view(len(p), -1, BLOCK).sum(2)
    reached = p.new_zeros(len(p), sums.shape[1] + 1, dtype=torch.float64)
    torch.cumsum(sums, 1, dtype=torch.float64, out=reached[:, 1:])
    return reached
