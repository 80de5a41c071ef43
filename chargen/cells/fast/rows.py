"""Arithmetic whose result for a row doesn't depend on the other rows of the batch.

A text must not change with the texts that are generated in the same batch, nor with the number
of threads. On a CPU three things, all observed, would change it: a matrix product uses another
kernel, with another order of summation, for another number of rows; an elementwise function uses
other code for what remains after the last whole vector; and a thread's share of a tensor may end
inside a vector.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

TILE = 16
"""Rows in a tile on a CPU whose kernels depend on the number of rows."""

DEVICE_TILE = 64
"""Rows in a tile on an accelerator, whose kernels are chosen by shape."""

VECTOR = 32
"""Widths are padded to a multiple of this: two vectors of the widest kind, 16 floats each."""

_GRAIN = 32768
"""torch splits an elementwise operation among threads only above this many numbers."""

_PACK_HINT = 64
"""The number of rows that oneDNN packs a weight for; any other number works too."""


def padded(width: int, multiple: int = VECTOR) -> int:
    """Round ``width`` up to a multiple, by default of whole vectors."""
    return -(-width // multiple) * multiple


def pad_gates(matrix: Tensor, gates: int, columns: int = 0) -> Tensor:
    """Pad the rows of each gate with zeros to whole vectors, and the columns to ``columns``.

    From (gates · H, N) to (gates · H′, N′); a vector from (gates · H,) to (gates · H′,).
    """
    blocks = torch.unflatten(matrix, 0, (gates, -1))
    height = padded(blocks.shape[1])
    spare = [0, max(0, columns - matrix.shape[1])] if matrix.ndim == 2 else []
    return F.pad(blocks, [*spare, 0, height - blocks.shape[1]]).flatten(0, 1)


class RowProduct:
    """The product A·x + b for each row x of a batch, with the same bits in any batch.

    On a CPU, A is packed for oneDNN, whose kernels sum in the same order for any number of rows.
    The library doesn't promise that, so it is checked on this machine first. Where it doesn't
    hold, and on an accelerator, rows are multiplied in tiles of a fixed size.

    Args:
        matrix: A, (N, K).
        bias: b, (N,), or None.

    Attributes:
        tile: the number of rows must be a multiple of this.
    """

    def __init__(self, matrix: Tensor, bias: Tensor | None = None) -> None:
        self.matrix = matrix.detach().contiguous()
        self.bias = None if bias is None else bias.detach().contiguous()
        self.tile = 1 if matrix.device.type == "cpu" else DEVICE_TILE
        self._packed: Tensor | None = None
        if (
            self.tile == 1
            and matrix.dtype == torch.float32
            and _packing_keeps_rows(matrix.shape[1])
        ):
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.matrix, _PACK_HINT)
        elif self.tile == 1:
            self.tile = TILE

    def __call__(self, x: Tensor) -> Tensor:
        """Compute A·x + b for each row of x: (B, K) to (B, N)."""
        if self._packed is not None:
            product: Tensor = torch.ops.mkldnn._linear_pointwise.default(
                x, self._packed, self.bias, "none", [], ""
            )
            return product
        tiles = [F.linear(rows, self.matrix, self.bias) for rows in torch.split(x, self.tile)]
        return tiles[0] if len(tiles) == 1 else torch.cat(tiles)

    def add_to(self, u: Tensor, x: Tensor) -> Tensor:
        """Compute u + A·x, without b: u (B, N) and x (B, K) to (B, N)."""
        if self._packed is not None:
            total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
                x, u, self._packed, None, "add"
            )
            return total
        return self(x).add_(u)


@cache
def _packing_keeps_rows(width: int) -> bool:
    """Check that oneDNN's packed product gives a row the same bits for any number of rows.

    Whether it does depends on the processor and on the numbers a row has: where it splits long
    sums among threads, their order follows the number of rows. Only a few numbers of rows are
    tried: oneDNN compiles a kernel for each, which takes about ten milliseconds.
    """
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(320, width, generator=generator)
    x = torch.randn(64, width, generator=generator)
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
    """Overwrite x with σ(x); x is contiguous, and its rows are whole vectors."""
    for part in whole_shares(x):
        torch.sigmoid_(part)
    return x


def whole_shares(x: Tensor) -> tuple[Tensor, ...]:
    """Split x so that no thread's share ends inside a vector.

    Args:
        x: (B, N) with N a multiple of ``VECTOR``.

    Returns:
        x as it is, if its shares are whole vectors; else tiles small enough for one thread.
    """
    count = x.numel()
    if count <= _GRAIN or x.device.type != "cpu":
        return (x,)
    threads = min(torch.get_num_threads(), -(-count // _GRAIN))
    if -(-count // threads) % VECTOR == 0:
        return (x,)
    return torch.split(x, max(1, _GRAIN // x.shape[1]))
