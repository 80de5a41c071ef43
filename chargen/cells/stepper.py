"""A cell made ready to generate: one step at a time, for many rows, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from chargen.cells.rows import DEVICE_TILE, TILE, RowProduct

if TYPE_CHECKING:
    from chargen.cells.base import Cell, State


class Stepper:
    """One layer's step, the same for a row whatever rows stand beside it.

    This one serves any cell: ``Cell.step`` on tiles of a fixed number of rows. A cell that has
    a faster way overrides ``Cell.stepper``. Letters as in ``Cell``; G', H' are G and H, or what
    a subclass pads them to.

    Attributes:
        tile: the number of rows must be a multiple of this.
        outputs: H', numbers a row of the output has; those beyond H are zeros.
    """

    def __init__(self, cell: Cell, inputs: int) -> None:
        """Take a cell whose input rows have ``inputs`` numbers (0: no layer below)."""
        self.cell = cell
        self.tile = TILE if cell.zero.device.type == "cpu" else DEVICE_TILE
        self.outputs = cell.hidden_size
        self.below: RowProduct | None = None
        if inputs and cell.U is not None:
            U, b = self.gates(cell.U.detach(), inputs), cell.b
            self.below = RowProduct(U, None if b is None else self.gates(b.detach()))
            self.tile = max(self.tile, self.below.tile)

    def gates(self, weights: Tensor, columns: int = 0) -> Tensor:
        """Weights (G, N) or biases (G,) in this stepper's own order: (G', ≥ columns) or (G',)."""
        if weights.ndim == 1:
            return weights
        spare = max(0, columns - weights.shape[1])
        return torch.nn.functional.pad(weights, [0, spare])

    def initial_state(self, rows: int) -> State:
        """The state before the first step, for ``rows`` rows; ``step`` overwrites it."""
        return self.cell.initial_state(rows)

    def project(self, s: Tensor) -> Tensor:
        """U·s + b of what the layer below put out: (B, I') to (B, G')."""
        if self.below is None:
            raise ValueError("the lowest layer looks its input up")
        return self.below(s)

    def step(self, u: Tensor, state: State) -> Tensor:
        """One time step: u (B, G'), which may be overwritten, to the output (B, H')."""
        outputs = []
        for start in range(0, len(u), self.tile):
            part = slice(start, start + self.tile)
            s, after = self.cell.step(u[part], tuple(tensor[part] for tensor in state))
            for tensor, new in zip(state, after, strict=True):
                tensor[part] = new
            outputs.append(s)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)
