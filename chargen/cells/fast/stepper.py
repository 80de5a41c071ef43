"""A cell prepared for generation: one step at a time, for many rows, in place."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.base import Cell, State
from chargen.cells.fast.blocks import Product, product_with
from chargen.cells.fast.rows import DEVICE_TILE, TILE, padded


class Stepper:
    """One layer's step, whose result for a row doesn't depend on the rows beside it.

    This class serves any cell: it calls ``Cell.step`` on tiles of a fixed number of rows. It
    holds the cell's weights as they were when it was made. Letters as in ``Cell``; G′ and H′ are
    G and H, or what a subclass pads them to.

    Args:
        cell: the layer.
        inputs: I′, the width of the rows from the layer below; 0 for the lowest layer.

    Attributes:
        tile: the number of rows must be a multiple of this.
        outputs: H′, the width of the output; only the first H columns count, and whatever reads
            the others multiplies them by zeros.
    """

    def __init__(self, cell: Cell, inputs: int) -> None:
        self.cell = cell
        self.tile = TILE if cell.zero.device.type == "cpu" else DEVICE_TILE
        self.outputs = cell.hidden_size
        self.below: Product | None = None
        if inputs and cell.U is not None:
            b = None if cell.b is None else self.arrange(cell.b.detach())
            self.below = product_with(self.arrange(cell.U.detach(), inputs), b, gates=cell.gates)
            self.tile = max(self.tile, self.below.tile)

    def arrange(self, weights: Tensor, columns: int = 0) -> Tensor:
        """Put weights (G, N) or biases (G,) in this stepper's layout: (G′, ≥ columns) or (G′,)."""
        if weights.ndim == 1:
            return weights
        return F.pad(weights, [0, max(0, columns - weights.shape[1])])

    def initial_state(self, rows: int) -> State:
        """Return the state of ``rows`` rows before the first step; ``step`` overwrites it."""
        return self.cell.initial_state(rows)

    def project(self, s: Tensor) -> Tensor:
        """Compute U·s + b of the outputs of the layer below: (B, I′) to (B, G′)."""
        if self.below is None:
            raise ValueError("the lowest layer looks its input up")
        return self.below(s)

    def step(self, u: Tensor, state: State) -> Tensor:
        """Make one time step from u (B, G′), which may be overwritten, to the output (B, H′)."""
        outputs = []
        for start in range(0, len(u), self.tile):
            part = slice(start, start + self.tile)
            s, after = self.cell.step(u[part], tuple(tensor[part] for tensor in state))
            for tensor, new in zip(state, after, strict=True):
                tensor[part] = new
            outputs.append(s)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


class PaddedStepper(Stepper):
    """A stepper with arithmetic of its own, on gates and states padded to whole vectors.

    A subclass pads the gates in ``arrange``.

    Args:
        cell: the layer.
        inputs: as in ``Stepper``.
        W: the recurrent matrix, (G, H).
        d: what is added to the product with it, (G,), or None.
    """

    def __init__(self, cell: Cell, inputs: int, W: Tensor, d: Tensor | None = None) -> None:
        super().__init__(cell, inputs)
        self.outputs = padded(cell.hidden_size)
        bias = None if d is None else self.arrange(d.detach())
        self.W = product_with(self.arrange(W.detach(), self.outputs), bias, gates=cell.gates)
        self.tile = self.W.tile

    def initial_state(self, rows: int) -> State:
        spare = [0, self.outputs - self.cell.hidden_size]
        state = self.cell.initial_state(rows)
        return tuple(F.pad(tensor, spare) if tensor.ndim == 2 else tensor for tensor in state)


@runtime_checkable
class HasStepper(Protocol):
    """A cell with a stepper of its own."""

    def stepper(self, inputs: int) -> Stepper: ...


def stepper_of(cell: Cell, inputs: int = 0) -> Stepper:
    """Prepare a cell for generation, with its weights as they are now.

    Args:
        cell: the layer.
        inputs: the width of the rows from the layer below; 0 for the lowest layer.
    """
    return cell.stepper(inputs) if isinstance(cell, HasStepper) else Stepper(cell, inputs)
