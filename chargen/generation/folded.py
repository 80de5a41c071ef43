"""A model folded for generation: one step for many rows, from ids to logits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from chargen.cells.fast.rows import RowProduct, padded
from chargen.cells.fast.stepper import stepper_of
from chargen.generation.sampler import BLOCK
from chargen.network.model import CharModel, ModelState

RowState = tuple[Tensor, ...]
"""One row's state: a copy of its row of each tensor, bottom layer first."""


class Network:
    """The weights as they are now, laid out for generation; the model itself is left alone.

    U·x + b of the first layer is a table with a row a piece, looked up.

    Attributes:
        tile: the number of rows must be a multiple of this.
        width: |V'|, logits a row: |V| rounded up to whole blocks.
    """

    def __init__(self, model: CharModel) -> None:
        self.steppers = []
        inputs = 0
        for cell in model.cells:
            self.steppers.append(stepper_of(cell, inputs))
            inputs = self.steppers[-1].outputs
        self.table = self.steppers[0].arrange(model.input_table().T).T.contiguous()
        self.width = padded(model.config.vocab_size, BLOCK)
        spare = self.width - model.config.vocab_size
        V = F.pad(model.output_matrix().detach(), [0, inputs - model.config.hidden_size, 0, spare])
        c = model.table.new_zeros(model.config.vocab_size) if model.c is None else model.c.detach()
        self.output = RowProduct(V, F.pad(c, [0, spare], value=float("-inf")))
        self.tile = max([self.output.tile, *(stepper.tile for stepper in self.steppers)])
        self.device = model.table.device

    def rows(self, count: int) -> Rows:
        """The states of ``count`` rows at most, rounded up to whole tiles."""
        return Rows(self, padded(count, self.tile))

    def step(self, ids: Tensor, state: ModelState) -> Tensor:
        """One time step for ids (B,), int64: outputs (B, H'); the state is overwritten."""
        s = F.embedding(ids, self.table)
        for n, (stepper, layer) in enumerate(zip(self.steppers, state, strict=True)):
            s = stepper.step(stepper.project(s) if n else s, layer)
        return s

    def logits(self, s: Tensor) -> Tensor:
        """The logits V·s + c of outputs (B, H'): (B, |V'|), which the caller may overwrite."""
        return self.output(s)


class Rows:
    """The recurrent state of the texts that are being generated, a row each."""

    def __init__(self, network: Network, capacity: int) -> None:
        self._network = network
        self._state = tuple(stepper.initial_state(capacity) for stepper in network.steppers)
        fresh = (stepper.initial_state(1) for stepper in network.steppers)
        self._fresh: RowState = tuple(tensor[0] for layer in fresh for tensor in layer)
        self._tensors = tuple(tensor for layer in self._state for tensor in layer)
        self._count = 0
        self._view: ModelState = ()

    def step(self, ids: Tensor) -> Tensor:
        """Feed the first rows one piece each, ids (B,): outputs (B, H')."""
        if len(ids) != self._count:
            self._count = len(ids)
            self._view = tuple(tuple(t[: len(ids)] for t in layer) for layer in self._state)
        return self._network.step(ids, self._view)

    def load(self, row: int, saved: RowState | None) -> None:
        """Give a row the state that ``save`` returned; None: that before the first piece."""
        for tensor, value in zip(self._tensors, saved or self._fresh, strict=True):
            tensor[row] = value

    def save(self, row: int) -> RowState:
        return tuple(tensor[row].clone() for tensor in self._tensors)

    def swap(self, a: int, b: int) -> None:
        for tensor in self._tensors:
            tensor[[a, b]] = tensor[[b, a]]
