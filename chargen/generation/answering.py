"""A network that answers, folded for generation: its encoder, and rows that look back.

All of it gives a row the same bits whatever is beside it, see ``chargen.cells.fast.rows``: products
are those of ``RowProduct``, and sums are made of additions of whole tensors, in an order that
depends on nothing but the number of terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.fast.blocks import Product
from chargen.cells.fast.rows import VECTOR, RowProduct, padded, whole_shares
from chargen.cells.fast.stepper import Stepper, stepper_of
from chargen.generation.folded import Network, Rows, RowState
from chargen.generation.prompts import ReadCache
from chargen.network.attention import FARTHEST, Attention
from chargen.network.seq2seq import Seq2Seq
from chargen.ngrams import KneserNey

_FEWEST = 8
"""Memories that a row has room for, at least; always a power of two."""


@dataclass(frozen=True)
class Read:
    """What a row needs to know of a text that was read.

    Attributes:
        state: of the decoder before its first step, a row of each tensor, bottom layer first.
        beside: what the code adds to the rows of the decoder's table, (G′,).
        memory: outputs of the encoder, (S, M).
        keys: what attention compares, (S, H′); None without attention.
    """

    state: RowState
    beside: Tensor
    memory: Tensor
    keys: Tensor | None

    @property
    def numbers(self) -> int:
        """How many numbers these are."""
        tensors = (*self.state, self.beside, self.memory)
        return sum(map(Tensor.numel, tensors)) + (0 if self.keys is None else self.keys.numel())


class AnswerNetwork(Network):
    """The decoder as ``Network`` folds a language model, an encoder, and attention."""

    def __init__(self, model: Seq2Seq, ngram: KneserNey | None = None) -> None:
        super().__init__(model.decoder, ngram)
        self._encoder = _Encoder(model)
        R = model.decoder.R
        assert R is not None
        U = self.steppers[0].cell.U
        matrix = R.detach() if U is None else U.detach() @ R.detach()
        self._code = RowProduct(self.steppers[0].arrange(matrix))
        self._starts = [RowProduct(_taller(S.detach())) for S in model.starts]
        self.look: Look | None = None
        if model.attention is not None:
            self.look = Look(model.attention, self.steppers[-1].outputs)
            self.tile = max(self.tile, self.look.tile)
        self._known = ReadCache[Read](lambda read: read.numbers)

    def rows(self, count: int) -> AnswerRows:
        return AnswerRows(self, padded(count, self.tile))

    def read(self, ids: Sequence[int]) -> Read:
        """Read a text, its end piece last; one that was read before is remembered."""
        found = self._known.find(ids)
        if found is None:
            found = self._read(torch.tensor(ids, device=self.device))
            self._known.keep(ids, found)
        return found

    def _read(self, ids: Tensor) -> Read:
        memory, code = self._encoder.read(ids)
        starts = iter(self._starts)
        state = []
        for stepper in self.steppers:
            for part in stepper.initial_state(1):
                row = part[0].clone()
                if stepper.cell.carries and part.is_floating_point():
                    begun = _tanh_(_product(next(starts), code[None]))[0]
                    width = min(len(row), len(begun))
                    row[:width] = begun[:width]
                state.append(row)
        beside = _product(self._code, code[None])[0]
        keys = None if self.look is None else _product(self.look.key, memory)
        return Read(tuple(state), beside, memory, keys)


class AnswerRows(Rows):
    """The states of answers, each with the memory of its text and its place in the answer."""

    def __init__(self, network: AnswerNetwork, capacity: int) -> None:
        super().__init__(network, capacity)
        self._answers, self._capacity = network, capacity
        table = network.table
        self._lengths = torch.ones(capacity, dtype=torch.int64, device=table.device)
        self._places = torch.zeros(capacity, dtype=torch.int64, device=table.device)
        self._tensors += (self._lengths, self._places)
        self._memory = self._keys = table.new_zeros(0)

    def __len__(self) -> int:
        return self._capacity

    def read(self, row: int, ids: Sequence[int]) -> None:
        """Begin the answer to a text, its end piece last, in a row."""
        read = self._answers.read(ids)
        context = [] if self._contexts is None else [torch.tensor(self._answers.first_context)]
        places = torch.tensor(len(read.memory)), torch.tensor(0)
        values = (*read.state, *context, read.beside, *places)
        for tensor, value in zip(self._tensors, values, strict=True):
            tensor[row] = value
        self._forget()
        if read.keys is not None:
            self._make_room(read.memory, read.keys)
            for tensor, value in ((self._memory, read.memory), (self._keys, read.keys)):
                tensor[row] = 0
                tensor[row, : len(value)] = value

    def _make_room(self, memory: Tensor, keys: Tensor) -> None:
        """Grow to the number of memories of a text, if there is less room."""
        there = self._memory.shape[1] if self._memory.ndim > 1 else 0
        if len(memory) <= there:
            return
        room = max(_FEWEST, 1 << (len(memory) - 1).bit_length())
        grown = []
        for old, new in ((self._memory, memory), (self._keys, keys)):
            grown.append(new.new_zeros(self._capacity, room, new.shape[1]))
            if there:
                grown[-1][:, :there] = old
        self._memory, self._keys = grown

    def step(self, fed: NDArray[np.int64]) -> Tensor:
        s = super().step(fed)
        look, count = self._answers.look, len(fed)
        if look is not None:
            s = look(
                s,
                self._memory[:count],
                self._keys[:count],
                self._lengths[:count],
                self._places[:count],
            )
        self._places[:count] += 1
        return s

    def swap(self, a: int, b: int) -> None:
        super().swap(a, b)
        if self._answers.look is not None:
            for tensor in (self._memory, self._keys):
                tensor[[a, b]] = tensor[[b, a]]

    def reorder(self, parents: Sequence[int]) -> None:
        """Give the first rows the states of others, all of them answers to one text."""
        self.take(np.array(parents, np.int64))


class Look:
    """``Attention`` for rows that are each at a place of their own.

    Args:
        attention: with its weights as they are now.
        outputs: H′, the width of the decoder's rows.
    """

    def __init__(self, attention: Attention, outputs: int) -> None:
        H, M = len(attention.W_c), attention.W_c.shape[1] - len(attention.W_c)
        spare = outputs - H
        W, U = attention.W.detach(), attention.U
        self.key = RowProduct(F.pad(W if U is None else U.detach(), [0, 0, 0, spare]))
        self._query: RowProduct | None = None
        if attention.a is not None:
            self._query = RowProduct(F.pad(W, [0, spare, 0, spare]))
            self._a = F.pad(attention.a.detach(), [0, spare])
        W_c = F.pad(attention.W_c.detach(), [0, spare, 0, spare])
        self._join = RowProduct(W_c)
        self._d, self._memory_size = attention.d.detach(), M
        products = [self.key, self._join, *([] if self._query is None else [self._query])]
        self.tile = max(product.tile for product in products)

    def __call__(
        self, s: Tensor, memory: Tensor, keys: Tensor, lengths: Tensor, places: Tensor
    ) -> Tensor:
        """Compute s̃ of rows s (B, H′) from memory (B, S, M), keys (B, S, H′): (B, H′)."""
        if self._query is None:
            energy = ordered_sum(keys * s[:, None], 2)
        else:
            z = keys + self._query(s)[:, None]
            _tanh_(z.view(-1, z.shape[2]))
            energy = ordered_sum(z.mul_(self._a), 2)
        i = torch.arange(keys.shape[1], device=s.device)
        energy += self._d[(i - places[:, None]).clamp(-FARTHEST, FARTHEST) + FARTHEST]
        energy.masked_fill_(i >= lengths[:, None], float("-inf"))
        energy -= energy.amax(dim=1, keepdim=True)
        room = energy.shape[1]
        p = F.pad(energy, [0, padded(room) - room], value=float("-inf"))
        for part in whole_shares(p):
            part.exp_()
        p = p[:, :room]
        p = p / ordered_sum(p, 1)[:, None]
        c = ordered_sum(p[:, :, None] * memory, 1)
        return _tanh_(self._join(torch.cat([c, s], dim=1)))


def ordered_sum(x: Tensor, dim: int) -> Tensor:
    """Sum over a dimension by halving it again and again.

    Each step adds two tensors, which is exact arithmetic whatever else is computed at once. Zeros
    that double the number of terms change nothing.
    """
    while (count := x.shape[dim]) > 1:
        half = count // 2
        total = x.narrow(dim, 0, half) + x.narrow(dim, half, half)
        if count % 2:
            total.narrow(dim, 0, 1).add_(x.narrow(dim, count - 1, 1))
        x = total
    return x.squeeze(dim)


class _Encoder:
    """The encoder as steppers; its lowest inputs are looked up."""

    def __init__(self, model: Seq2Seq) -> None:
        encoder = model.encoder
        self._width = encoder.hidden_size
        self._layers: list[list[Stepper]] = [
            [stepper_of(cell, encoder.outputs if n else 0) for cell in layer]
            for n, layer in enumerate(encoder.cells)
        ]
        lowest = encoder.cells[0]
        self._shown: list[Tensor] = []
        if model.E is None:
            self._shown = [model.table.detach()]
            inputs = [model.table * model.decoder.input_scale] * len(lowest)
        else:
            inputs = list(model.E.chunk(len(lowest), dim=1))
        self._tables = [
            stepper.arrange(cell.project(x).T).T.contiguous()
            for stepper, cell, x in zip(self._layers[0], lowest, inputs, strict=True)
        ]

    def read(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Read a text (S,): a memory (S, M) and the code (L,)."""
        outputs: list[Tensor] = []
        for n, layer in enumerate(self._layers):
            below = torch.cat(outputs, dim=1) if n else None
            outputs = []
            for direction, stepper in enumerate(layer):
                if below is None:
                    u = F.embedding(ids, self._tables[direction])
                else:
                    assert stepper.below is not None
                    u = _product(stepper.below, below)
                outputs.append(self._scan(stepper, u, backwards=direction == 1))
        ahead, *back = outputs
        code = torch.cat([ahead[-1], *(outputs[0] for outputs in back)])
        return torch.cat([*outputs, *(F.embedding(ids, each) for each in self._shown)], dim=1), code

    def _scan(self, stepper: Stepper, u: Tensor, *, backwards: bool) -> Tensor:
        found = u.new_empty(len(u), self._width)
        state = stepper.initial_state(stepper.tile)
        for t in reversed(range(len(u))) if backwards else range(len(u)):
            s = stepper.step(u[t : t + 1].repeat(stepper.tile, 1), state)
            found[t] = s[0, : self._width]
        return found


def _product(product: Product, x: Tensor) -> Tensor:
    """``product`` of rows x (N, K) of any number: (N, …)."""
    spare = -len(x) % product.tile
    return product(F.pad(x, [0, 0, 0, spare]) if spare else x)[: len(x)]


def _taller(matrix: Tensor) -> Tensor:
    """A matrix (N, K) with rows of zeros up to whole vectors."""
    return F.pad(matrix, [0, 0, 0, -len(matrix) % VECTOR])


def _tanh_(x: Tensor) -> Tensor:
    """Overwrite x (N, K) with tanh(x); K is a multiple of whole vectors, x contiguous."""
    for part in whole_shares(x):
        part.tanh_()
    return x
