"""Products with matrices that are made of blocks, as those of averaged networks are."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from chargen.cells.fast.rows import VECTOR, RowProduct


class Block(NamedTuple):
    """Where a block of a matrix lies: its rows, which are the same in each gate, and columns."""

    rows: slice
    columns: slice


class BlockProduct:
    """As ``RowProduct``, for a matrix that is zero outside some blocks, which are multiplied alone.

    Args:
        matrix: A, (gates · H, N).
        bias: b, (gates · H,), or None.
        gates: of the cell.
        blocks: of A, as ``blocks_of`` finds them.

    Attributes:
        tile: the number of rows must be a multiple of this.
    """

    def __init__(
        self, matrix: Tensor, bias: Tensor | None, gates: int, blocks: list[Block]
    ) -> None:
        parts = torch.unflatten(matrix.detach(), 0, (gates, -1))
        self._products = [
            RowProduct(parts[:, block.rows, block.columns].flatten(0, 1)) for block in blocks
        ]
        self._blocks, self._gates = blocks, gates
        self._bias = matrix.new_zeros(len(matrix)) if bias is None else bias.detach().clone()
        self.tile = max(product.tile for product in self._products)

    def __call__(self, x: Tensor) -> Tensor:
        """Compute A·x + b for each row of x: (B, N) to (B, gates · H)."""
        return self._add(self._bias.repeat(len(x), 1), x)

    def add_to(self, u: Tensor, x: Tensor) -> Tensor:
        """Compute u + A·x, without b: u (B, gates · H) and x (B, N) to (B, gates · H)."""
        return self._add(u.clone(), x)

    def _add(self, total: Tensor, x: Tensor) -> Tensor:
        """Add A·x to ``total``."""
        by_gate = torch.unflatten(total, 1, (self._gates, -1))
        for block, product in zip(self._blocks, self._products, strict=True):
            part = product(x[:, block.columns].contiguous())
            by_gate[:, :, block.rows] += torch.unflatten(part, 1, (self._gates, -1))
        return total


Product: TypeAlias = RowProduct | BlockProduct


def product_with(matrix: Tensor, bias: Tensor | None = None, *, gates: int = 1) -> Product:
    """Return the product with A (gates · H, N) and b, by blocks where A is made of some."""
    blocks = blocks_of(matrix.detach(), gates)
    if len(blocks) > 1 and all(block.rows.stop - block.rows.start >= VECTOR for block in blocks):
        return BlockProduct(matrix, bias, gates, blocks)
    return RowProduct(matrix, bias)


def blocks_of(matrix: Tensor, gates: int) -> list[Block]:
    """Find the blocks outside which a matrix (gates · H, N) is zero, from top left to bottom right.

    Rows of zeros at the end belong to none.
    """
    used = (torch.unflatten(matrix, 0, (gates, -1)) != 0).any(0)
    width = used.shape[1]
    places = torch.arange(width, device=used.device)
    first = torch.where(used, places, width).amin(1)
    end = torch.where(used, places + 1, 0).amax(1)
    reached = end.cummax(0).values
    ahead = first.flip(0).cummin(0).values.flip(0)  # where this row and all after it begin
    rows = (torch.nonzero(reached[:-1] <= ahead[1:]).flatten() + 1).tolist()
    bounds = [(0, 0), *((row, int(reached[row - 1])) for row in rows), (len(used), width)]
    found = (
        Block(slice(top, bottom), slice(left, right))
        for (top, left), (bottom, right) in pairwise(bounds)
    )
    return [block for block in found if bool(used[block.rows].any())]
