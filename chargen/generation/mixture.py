"""The distribution of a network with counts: the one place where generation mixes the two."""

from __future__ import annotations

from math import exp

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.cells.fast.rows import whole_shares
from chargen.ngrams import KneserNey
from chargen.ngrams.rows import Parts, Record, States

_SURE = 15.0
"""Bound of the gate's logit: no piece may lose all of its probability by rounding."""
_SINGLY = 4
"""Up to so many rows are mixed one by one."""
_TOGETHER = 1 << 18
"""Numbers in the rows that are mixed at once, few enough for a processor's cache."""


class Mixture:
    """g · softmax(o) + (1 − g) · P_n for the rows of a batch.

    A row's bits depend on its logits and its context alone: sums run along rows, and what is
    computed element by element is exactly rounded.

    Args:
        ngram: P_n.
        device: of the logits.

    Attributes:
        width: |V'|, numbers in a row; those beyond |V| mean nothing.
    """

    def __init__(self, ngram: KneserNey, device: torch.device) -> None:
        self.tables = ngram.tables
        self.width = self.tables.width
        self._on_cpu = device.type == "cpu"
        self._dense = torch.from_numpy(self.tables.dense).to(device)
        self._together = max(1, _TOGETHER // self.width)

    def spare(self, capacity: int) -> Tensor:
        """Room for what is counted in the rows of ``capacity`` that are mixed at once."""
        rows = min(capacity, self._together) if self._on_cpu else 0
        return self._dense.new_empty(rows, self.width)

    def probabilities(self, o: Tensor, contexts: Contexts, *, log: bool = False) -> Tensor:
        """Turn logits into probabilities of the mixture, or their logarithms, in place.

        Args:
            o: (B, |V'|): V·s + c for |V| pieces, then −∞, and last w·s + b.
            contexts: the first B are those of the rows.
            log: whether to return logarithms.
        """
        count = o.shape[0]
        if self._on_cpu:
            numbers = o.numpy()
            gate, others = _shares(numbers[:, -1])
            numbers[:, -1] = -np.inf
        else:
            gate, others = _shares(o[:, -1].cpu().numpy())
            o[:, -1] = -torch.inf
        contexts.gate = gate
        if not self._on_cpu:
            self._mix_on_device(o, contexts.parts(count), gate, others)
        elif count <= _SINGLY:
            torch.softmax(o, 1, out=o)
            numbers *= gate[:, None]
            for row, record, other in zip(numbers, contexts.records(count), others, strict=True):
                self.tables.add_row(row, record, other)
        else:
            parts = contexts.parts(count)
            for start in range(0, count, self._together):
                end = min(start + self._together, count)
                some = o[start:end]
                spare = contexts.spare[: end - start]
                self._mix(some, parts.rows(start, end), gate[start:end], others[start:end], spare)
        if log:
            for part in whole_shares(o):
                part.log_()
        return o

    def _mix(
        self,
        o: Tensor,
        parts: Parts,
        gate: NDArray[np.float32],
        others: NDArray[np.float32],
        spare: Tensor,
    ) -> None:
        """Mix rows on a CPU; ``spare`` (B, |V'|) is overwritten."""
        counted = torch.index_select(self._dense, 0, torch.from_numpy(parts.slots), out=spare)
        counted.mul_(torch.from_numpy((parts.factors * others)[:, None]))
        torch.softmax(o, 1, out=o).mul_(torch.from_numpy(gate[:, None])).add_(counted)
        self.tables.add(o.numpy(), parts, others)

    def _mix_on_device(
        self, o: Tensor, parts: Parts, gate: NDArray[np.float32], others: NDArray[np.float32]
    ) -> None:
        """Mix rows elsewhere."""
        numbers = (parts.slots, parts.factors * others, gate, *self.tables.terms(parts, others))
        slots, factors, shares, places, values = (
            torch.from_numpy(each).to(o.device) for each in numbers
        )
        counted = torch.index_select(self._dense, 0, slots).mul_(factors[:, None])
        torch.softmax(o, 1, out=o).mul_(shares[:, None]).add_(counted)
        # In a fixed order, unlike index_add_.
        o.view(-1).index_put_((places,), values, accumulate=True)


class Contexts:
    """What the counts know of the texts that are being generated, a row each.

    Args:
        mixture: whose counts these are.
        capacity: rows.

    Attributes:
        read: (capacity,) the state of each row, which the caller may copy, change and reorder if
            it calls ``changed`` then.
        gate: (B,) the network's share in the rows that were mixed last.
        spare: room that the mixture uses. The allocator of a CPU gives back so much memory every
            time; and several threads may use one mixture, each with contexts of its own.
    """

    def __init__(self, mixture: Mixture, capacity: int) -> None:
        self._tables, self._on_cpu = mixture.tables, mixture._on_cpu
        self.read: States = np.zeros(capacity, np.int64)
        self.gate: NDArray[np.float32] = np.ones(0, np.float32)
        self.spare = mixture.spare(capacity)
        self._parts: Parts | None = None
        self._records: list[Record] = []

    def changed(self) -> None:
        """Forget what was computed from the states before."""
        self._parts, self._records = None, []

    def step(self, fed: NDArray[np.int64]) -> None:
        """Feed the first rows one piece each, (B,)."""
        count = len(fed)
        if count <= _SINGLY and self._on_cpu:
            pairs = zip(self.records(count), fed.tolist(), strict=True)
            self.read[:count] = [self._tables.after_piece(*pair) for pair in pairs]
        else:
            self.read[:count] = self._tables.after(self.parts(count), fed)
        self.changed()

    def records(self, count: int) -> list[Record]:
        """What the distributions of the first rows are made of, one by one."""
        if len(self._records) < count:
            self._records = [self._tables.record(state) for state in self.read[:count].tolist()]
        return self._records[:count]

    def parts(self, count: int) -> Parts:
        """What the distributions of the first rows are made of."""
        if self._parts is None or len(self._parts.slots) < count:
            self._parts = self._tables.parts(self.read[:count])
        return self._parts.rows(0, count)


def _shares(logits: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The gate σ(x) and 1 − σ(x), each (B,)."""
    bounded = np.minimum(np.maximum(logits, -_SURE), _SURE)  # np.clip takes twice as long
    gate = [1 / (1 + exp(-x)) for x in bounded.tolist()]
    return np.array(gate, np.float32), np.array([1 - g for g in gate], np.float32)
