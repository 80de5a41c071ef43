"""A model folded for generation: one step for many rows, from ids to logits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.fast.rows import RowProduct, padded
from chargen.cells.fast.stepper import stepper_of
from chargen.generation.drawing import BLOCK
from chargen.generation.mixture import Contexts, Mixture
from chargen.network.base import ModelState
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey, beginning

_FEATURES = 8
"""The length of what P leads to is a multiple of this."""

RowState = tuple[Tensor, ...]
"""One row's state: a copy of its row of each tensor, bottom layer first."""


class Network:
    """The weights as they are now, laid out for generation; the model itself is left alone.

    U·x + b of the first layer is a table with a row a piece, looked up. With counts, a spare row of
    the output matrix is the gate's.

    Args:
        model: with a gate, if there are counts.
        ngram: the counts that are mixed with the network, or None.

    Attributes:
        tile: the number of rows must be a multiple of this.
        width: |V'|, numbers in a row: |V| rounded up to whole blocks, with counts |V| + 1.
        mixture: of the network with the counts, or None.
        first_context: the state of the counts before the newline that a text begins with.
    """

    def __init__(self, model: CharModel, ngram: KneserNey | None = None) -> None:
        self.steppers = []
        inputs = 0
        for cell in model.cells:
            self.steppers.append(stepper_of(cell, inputs))
            inputs = self.steppers[-1].outputs
        self.table = self.steppers[0].arrange(model.input_table().T).T.contiguous()
        size = model.config.vocab_size
        self.mixture = None if ngram is None else Mixture(ngram, model.table.device)
        self.first_context = 0
        if ngram is not None and model.config.records:
            self.first_context = beginning(ngram)
        self.width = padded(size, BLOCK) if self.mixture is None else self.mixture.width
        gated = self.mixture is not None
        self.output = _output_of(model, inputs, self.width, gated=gated)
        self._model = model if model.R is not None else None
        self.tile = max([self.output.tile, *(stepper.tile for stepper in self.steppers)])
        self.device = model.table.device

    def rows(self, count: int) -> Rows:
        """The states of ``count`` rows at most, rounded up to whole tiles."""
        return Rows(self, padded(count, self.tile))

    @property
    def labelled(self) -> bool:
        """Whether labels stand beside the input."""
        return self._model is not None

    def beside(self, v: Tensor) -> Tensor:
        """What labels v (L,) add to a text's rows of the table: (G',)."""
        assert self._model is not None
        R_v = self._model.input_of_labels(v.to(self.device))
        return self.steppers[0].arrange(R_v[:, None])[:, 0]

    def step(self, ids: Tensor, state: ModelState, beside: Tensor | None = None) -> Tensor:
        """One time step for ids (B,), int64: outputs (B, H'); the state is overwritten.

        ``beside`` (B, G') is added to the rows of the table.
        """
        s = F.embedding(ids, self.table)
        if beside is not None:
            s += beside
        for n, (stepper, layer) in enumerate(zip(self.steppers, state, strict=True)):
            s = stepper.step(stepper.project(s) if n else s, layer)
        return s


class _Output(NamedTuple):
    """The product with V = table·P, by P first."""

    P: RowProduct
    table: RowProduct

    @property
    def tile(self) -> int:
        return max(self.P.tile, self.table.tile)

    def __call__(self, s: Tensor) -> Tensor:
        return self.table(self.P(s))


def _output_of(model: CharModel, inputs: int, width: int, *, gated: bool) -> RowProduct | _Output:
    """What leads from outputs s (B, H') to logits (B, |V'|), the gate's last of all if ``gated``.

    Other spare logits are −∞. Where it is less work than V·s, V = table·P is multiplied by P first;
    w is another row of P then, and what comes of it is passed on.

    Args:
        model: the network.
        inputs: H'.
        width: |V'|.
        gated: whether it is mixed with counts.
    """
    spare, beyond = width - model.config.vocab_size, inputs - model.config.hidden_size
    c = model.table.new_zeros(width - spare) if model.c is None else model.c.detach()
    c = F.pad(c, [0, spare], value=float("-inf"))
    w = None
    if gated and model.w is not None and model.b is not None:
        w, c[-1:] = F.pad(model.w.detach(), [0, beyond]), model.b.detach()
    if model.P is not None:
        size = len(model.P)
        features = padded(size + 1, _FEATURES)
        if features * (inputs + width) < inputs * width:
            P = F.pad(model.P.detach(), [0, beyond, 0, features - size])
            table = F.pad(model.table.detach(), [0, features - size, 0, spare])
            if w is not None:
                P[size], table[-1, size] = w, 1
            return _Output(RowProduct(P), RowProduct(table, c))
    V = F.pad(model.output_matrix().detach(), [0, beyond, 0, spare])
    if w is not None:
        V[-1] = w
    return RowProduct(V, c)


class Rows:
    """The recurrent state of the texts that are being generated, a row each."""

    def __init__(self, network: Network, capacity: int) -> None:
        self._network = network
        self._state = tuple(stepper.initial_state(capacity) for stepper in network.steppers)
        fresh = (stepper.initial_state(1) for stepper in network.steppers)
        self._fresh: RowState = tuple(tensor[0] for layer in fresh for tensor in layer)
        self._tensors = tuple(tensor for layer in self._state for tensor in layer)
        self._contexts: Contexts | None = None
        if network.mixture is not None:
            self._contexts = Contexts(network.mixture, capacity)
            self._fresh += (torch.tensor(network.first_context),)
            self._tensors += (torch.from_numpy(self._contexts.read),)
        self._beside: Tensor | None = None
        if network.labelled:
            self._beside = network.table.new_zeros(capacity, network.table.shape[1])
            self._fresh += (self._beside[0].clone(),)
            self._tensors += (self._beside,)
        self._count = 0
        self._view: ModelState = ()

    def step(self, fed: NDArray[np.int64]) -> Tensor:
        """Feed the first rows one piece each, (B,): outputs (B, H')."""
        ids = torch.from_numpy(fed).to(self._network.device)
        if self._contexts is not None:
            self._contexts.step(fed)
        if len(fed) != self._count:
            self._count = len(fed)
            self._view = tuple(tuple(t[: len(fed)] for t in layer) for layer in self._state)
        beside = None if self._beside is None else self._beside[: len(fed)]
        return self._network.step(ids, self._view, beside)

    def scores(self, s: Tensor, count: int, *, log: bool = False) -> Tensor:
        """The logits V·s + c of the first ``count`` rows, whose outputs are the first of s (B, H').

        With counts they are the probabilities of the mixture, or, if ``log``, their logarithms.
        The caller may overwrite them, (count, |V'|).
        """
        tile = self._network.tile
        some = -(-count // tile) * tile
        o = self._network.output(s if some == self._count else s[:some])
        o = o if some == count else o[:count]
        if self._network.mixture is None or self._contexts is None:
            return o
        return self._network.mixture.probabilities(o, self._contexts, log=log)

    @property
    def gate(self) -> NDArray[np.float32] | None:
        """The network's share in the rows that were scored last, (count,); None without counts."""
        return None if self._contexts is None else self._contexts.gate

    def load(self, row: int, saved: RowState | None, v: Tensor | None = None) -> None:
        """Give a row the state that ``save`` returned; None: that before the first piece.

        ``v`` (L,) are the labels of the row's text; they are part of what was saved.
        """
        for tensor, value in zip(self._tensors, saved or self._fresh, strict=True):
            tensor[row] = value
        if saved is None and v is not None and self._beside is not None:
            self._beside[row] = self._network.beside(v)
        self._forget()

    def save(self, row: int) -> RowState:
        return tuple(tensor[row].clone() for tensor in self._tensors)

    def take(self, parents: NDArray[np.int64]) -> None:
        """Let the first rows go on from others, (B,), each of which may serve several times."""
        for tensor in self._tensors:
            tensor[: len(parents)] = tensor[torch.from_numpy(parents).to(tensor.device)]
        self._forget()

    def swap(self, a: int, b: int) -> None:
        for tensor in self._tensors:
            tensor[[a, b]] = tensor[[b, a]]
        self._forget()

    def _forget(self) -> None:
        if self._contexts is not None:
            self._contexts.changed()
