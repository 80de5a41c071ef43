"""A text as vectors, read by a stack of cells in one direction or both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chargen.cells import build_cell
from chargen.cells.base import Cell
from chargen.network.dropout import Dropout
from chargen.options import ModelConfig


class Encoder(nn.Module):
    """Vectors for the characters of whole texts: x_1 … x_T to y_1 … y_T.

    In one direction y_t is what the stack of cells puts out after x_1 … x_t. In both, each layer
    has two cells, and the next layer reads the outputs of both:

    h→_t = cell(x_t, h→_{t−1}),  h←_t = cell(x_t, h←_{t+1}),  y_t = [h→_t; h←_t]

    Letters in shapes: T time steps, B rows, I input size, H hidden size, D = 1 or 2 directions,
    G gates · H of a cell. Rows may have different lengths: they begin together, and what stands
    beyond the end of a row is never read. The backward cells read each row from its own end.

    Source: Schuster and Paliwal, "Bidirectional recurrent neural networks", IEEE Transactions on
    Signal Processing 45, 1997.

    Args:
        config: its ``cell``, ``num_layers``, ``hidden_size``, ``bias`` and the cells' options. No
            cell may be fed the model's output, because an encoder has none.
        input_size: I. With 0 the lowest cells have no U, and x_t is their product U·x_t already,
            the forward cell's G numbers before the backward cell's.
        bidirectional: whether it reads in both directions.

    Attributes:
        inputs: the width of x_t: I, or D·G where I is 0.
        outputs: the width of y_t: D·H.
    """

    def __init__(self, config: ModelConfig, input_size: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.hidden_size = config.hidden_size
        self.input_size = input_size
        directions = 2 if bidirectional else 1
        self.outputs = directions * config.hidden_size
        self.ahead = _stack(config, input_size, self.outputs)
        self.back = _stack(config, input_size, self.outputs) if bidirectional else None
        lowest = self.cells[0][0]
        self.inputs = input_size or directions * lowest.gates * lowest.hidden_size

    @property
    def cells(self) -> list[tuple[Cell, ...]]:
        """The cells of each layer, bottom first: the forward one, and the backward one if any."""
        stacks = [self.ahead] if self.back is None else [self.ahead, self.back]
        layers = zip(*stacks, strict=True)
        return [tuple(cell for cell in layer if isinstance(cell, Cell)) for layer in layers]

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw each cell's initial weights as the cell does, layer by layer."""
        for layer in self.cells:
            for cell in layer:
                cell.reset_parameters(generator)

    def forward(self, x: Tensor, lengths: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Read texts.

        Args:
            x: inputs, (T, B, ``inputs``); anything finite beyond a row's length.
            lengths: the number of characters of each row, at most T: (B,), int64.
            dropout: applied where ``CharModel`` applies it: to x (unless I is 0), between layers,
                and to the outputs.

        Returns:
            The outputs y, (T, B, ``outputs``); zeros beyond a row's length.
        """
        order = turned(lengths, len(x))
        for n, layer in enumerate(self.cells):
            if dropout is not None and (n or self.input_size):
                x = dropout(x)
            shares = x.chunk(len(layer), dim=-1) if not (n or self.input_size) else [x, x]
            read = [layer[0](shares[0], layer[0].initial_state(x.shape[1]))[0]]
            for cell in layer[1:]:
                outputs, _ = cell(reorder(shares[1], order), cell.initial_state(x.shape[1]))
                read.append(reorder(outputs, order))
            x = torch.cat(read, dim=-1) if len(read) > 1 else read[0]
        beyond = torch.arange(len(x), device=x.device)[:, None] >= lengths
        x = x.masked_fill(beyond[..., None], 0)
        return x if dropout is None else dropout(x)

    def last(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Return what each direction knows at its end: (T, B, ``outputs``) to (B, ``outputs``).

        That is the forward half at a row's last character, the backward half at its first. A row
        of length 0 gives zeros.
        """
        at = (lengths - 1).clamp(min=0)[None, :, None].expand(1, -1, self.hidden_size)
        ahead = outputs[..., : self.hidden_size].gather(0, at)[0]
        return torch.cat([ahead, outputs[0, :, self.hidden_size :]], dim=-1)

    def mean(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Average over each row's characters: (T, B, ``outputs``) to (B, ``outputs``).

        A row of length 0 gives zeros.
        """
        total = outputs.sum(dim=0, dtype=torch.promote_types(outputs.dtype, torch.float32))
        return total / lengths.clamp(min=1)[:, None]

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of each cell by their names in the equations."""
        names = ("forward", "backward") if self.back is not None else ("layer",)
        return {
            f"{name} {n}": dict(cell.named_parameters())
            for n, layer in enumerate(self.cells)
            for name, cell in zip(names, layer, strict=True)
        }


def _stack(config: ModelConfig, lowest: int, between: int) -> nn.ModuleList:
    """Build the cells of one direction: the first reads ``lowest`` numbers, others ``between``."""
    return nn.ModuleList(
        build_cell(
            name,
            between if n else lowest,
            config.hidden_size,
            bias=config.bias,
            **config.options_of(name),
        )
        for n, name in enumerate(config.layer_cells())
    )


def turned(lengths: Tensor, steps: int) -> Tensor:
    """Number the rows of (T, B, …), flattened to (T·B, …), with each text back to front.

    What stands beyond a text's end stays where it is, so that this order is its own inverse.
    """
    t = torch.arange(steps, device=lengths.device)[:, None]
    order = torch.where(t < lengths, lengths - 1 - t, t) * len(lengths)
    return (order + torch.arange(len(lengths), device=lengths.device)).flatten()


def reorder(x: Tensor, order: Tensor) -> Tensor:
    """Take the rows of x (T, B, N) in an order from ``turned``."""
    return x.flatten(0, 1).index_select(0, order).view_as(x)
