"""The distribution of a network with counts: the one place where generation mixes the two."""

from __future__ import annotations

from math import exp

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.ngrams import KneserNey

_SURE = 15.0
"""Bound of the gate's logit: no piece may lose all of its probability by rounding."""
_SINGLY = 4
"""Up to so many rows are mixed one by one."""
_TOGETHER = 32
"""Rows that are mixed at once, few enough for a processor's cache."""


class Mixture:
    """g · softmax(o) + (1 − g) · P_n for the rows of a batch.

    A row's bits depend on its logits and its context alone: sums run along rows, and what is
    computed element by element is exactly rounded.

    Args:
        ngram: P_n.
        device: of the logits.

    Attributes:
        width: |V'|, numbers in a row.
    """

    def __init__(self, ngram: KneserNey, device: torch.device) -> None:
        self.ngram = ngram
        self.width = ngram.tables.width
        self._dense = torch.from_numpy(ngram.tables.dense).to(device)
        self._spare: Tensor | None = None
        if device.type == "cpu":  # where the allocator gives back so much memory every time
            self._spare = self._dense.new_empty(_TOGETHER, self.width)

    def probabilities(self, o: Tensor, state: NDArray[np.int64]) -> Tensor:
        """Turn logits into probabilities of the mixture, in place.

        Args:
            o: (B, |V'|): V·s + c for |V| pieces, then −∞, and last w·s + b.
            state: of the n-grams, (B, n − 1).
        """
        tables, last = self.ngram.tables, o[:, -1]
        gate, others = _shares(last.clamp_(-_SURE, _SURE).tolist())
        last.fill_(float("-inf"))
        if len(o) <= _SINGLY and o.device.type == "cpu":
            rows = torch.softmax(o, 1, out=o).numpy()
            rows *= gate[:, None]
            for n, row in enumerate(rows):
                tables.add_row(row, state[n], others[n])
            return o
        parts = tables.parts(state, others)
        numbers = (parts.slots, parts.factors, gate)
        slots, factors, shares = (torch.from_numpy(each).to(o.device) for each in numbers)
        if len(o) <= _TOGETHER or o.device.type != "cpu":
            self._mix(o, slots, factors[:, None], shares[:, None])
        else:
            whole = (o, slots, factors[:, None], shares[:, None])
            for each in zip(*(torch.split(x, _TOGETHER) for x in whole), strict=True):
                self._mix(*each)
        if o.device.type == "cpu":
            tables.add_longer(o.numpy(), parts)
        else:
            places, values = (torch.from_numpy(each).to(o.device) for each in tables.longer(parts))
            # In a fixed order, unlike index_add_.
            o.view(-1).index_put_((places,), values, accumulate=True)
        return o

    def _mix(self, o: Tensor, slots: Tensor, factors: Tensor, shares: Tensor) -> None:
        """Mix the softmax of logits with dense rows by counting, in place."""
        spare = None if self._spare is None else self._spare[: len(o)]
        counted = torch.index_select(self._dense, 0, slots, out=spare)
        torch.softmax(o, 1, out=o).mul_(shares).add_(counted.mul_(factors))


def _shares(logits: list[float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The gate σ(x) and 1 − σ(x), each (B,)."""
    gate = [1 / (1 + exp(-x)) for x in logits]
    return np.array(gate, np.float32), np.array([1 - g for g in gate], np.float32)
