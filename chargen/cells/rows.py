"""Arithmetic whose result for a row doesn't depend on which other rows are computed beside it.

A text must not change with the texts that are generated in the same batch, nor with the number
of threads. Three things spoil that on a processor, each seen: a matrix product picks another
kernel, with another order of summation, for another number of rows; an elementwise function
treats what is left over after the last whole vector by other code; and a thread's share of a
tensor may end inside a vector.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

TILE = 16
"""Rows of a fixed tile, where a processor's kernels promise nothing."""

DEVICE_TILE = 64
"""The same on an accelerator, whose kernels are chosen by shape."""

VECTOR = 32
"""Widths are padded to a multiple of this: two vectors of the widest kind, 16 floats."""

_GRAIN = 32768
"""torch splits an elementwise operation among threads only beyond so many numbers."""

_PACK_HINT = 64
"""Rows that oneDNN lays a packed weight out for; any number of them can be multiplied."""


def padded(width: int, multiple: int = VECTOR) -> int:
    """``width`` rounded up to whole vectors."""
    return -(-width // multiple) * multiple


def pad_gates(matrix: Tensor, gates: int, columns: int = 0) -> Tensor:
    """Rows of each gate padded with zeros to whole vectors, and columns to ``columns``.

    (gates · H, N) to (gates · H', N'); a vector (gates · H,) to (gates · H',).
    """
    blocks = torch.unflatten(matrix, 0, (gates, -1))
    height = padded(blocks.shape[1])
    spare = [0, max(0, columns - matrix.shape[1])] if matrix.ndim == 2 else []
    return F.pad(blocks, [*spare, 0, height - blocks.shape[1]]).flatten(0, 1)


class RowProduct:
    """x ↦ A·x + b for every row of a batch, each row with the same bits in any batch.

    On a processor A is packed for oneDNN, whose kernels sum in one order whatever the number of
    rows; that is no promise of the library, so it is tried on this machine first. Where it
    doesn't hold, and on an accelerator, rows are multiplied in tiles of a fixed size.

    Args:
        matrix: A, (N, K).
        bias: b, (N,), or None.
    """

    def __init__(self, matrix: Tensor, bias: Tensor | None = None) -> None:
        self.matrix = matrix.detach().contiguous()
        self.bias = None if bias is None else bias.detach().contiguous()
        self.tile = 1 if matrix.device.type == "cpu" else DEVICE_TILE
        self._packed: Tensor | None = None
        if self.tile == 1 and matrix.dtype == torch.float32 and _packing_keeps_rows():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.matrix, _PACK_HINT)
        elif self.tile == 1:
            self.tile = TILE

    def __call__(self, x: Tensor) -> Tensor:
        """X (B, K), where B is a multiple of ``tile``, to (B, N)."""
        if self._packed is not None:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(
                x, self._packed, self.bias, "none", [], ""
            )
            return product
        tiles = [F.linear(rows, self.matrix, self.bias) for rows in torch.split(x, self.tile)]
        return tiles[0] if len(tiles) == 1 else torch.cat(tiles)

    def add_to(self, u: Tensor, x: Tensor) -> Tensor:
        """U + A·x (without b): u (B, N), x (B, K) to (B, N)."""
        if self._packed is not None:
            total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
                x, u, self._packed, None, "add"
            )
            return total
        return self(x).add_(u)


@cache
def _packing_keeps_rows() -> bool:
    """Whether oneDNN's packed product gives a row the same bits at every number of rows here.

    Each number of rows costs some ten milliseconds, the making of its kernel: a few must do.
    """
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(320, 256, generator=generator)
    x = torch.randn(64, 256, generator=generator)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(matrix, _PACK_HINT)
        products = [
            torch.ops.mkldnn._linear_pointwise(x[:rows], packed, None, "none", [], "")
            for rows in (1, 2, 5, 17, 64)
        ]
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return all(torch.equal(part, products[-1][: len(part)]) for part in products)


def sigmoid_(x: Tensor) -> Tensor:
    """σ in place; x is contiguous, its rows whole vectors."""
    for part in whole_shares(x):
        torch.sigmoid_(part)
    return x


def whole_shares(x: Tensor) -> tuple[Tensor, ...]:
    """X itself where every thread's share of it is whole vectors, else tiles for one thread each.

    Args:
        x: (B, N) with N a multiple of ``VECTOR``.
    """
    count = x.numel()
    if count <= _GRAIN or x.device.type != "cpu":
        return (x,)
    threads = min(torch.get_num_threads(), -(-count // _GRAIN))
    if -(-count // threads) % VECTOR == 0:
        return (x,)
    return torch.split(x, max(1, _GRAIN // x.shape[1]))
