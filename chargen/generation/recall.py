"""What a prompt says is said again: its names and phrases are counted and mixed in.

A cache in the sense of Kuhn and De Mori ("A cache-based natural language model for speech
recognition", 1990), of the prompt alone, so that a text never grows into a loop of its own. After
the last k pieces, p_k(x) = (c_k(x) + D_k p_{k−1}(x)) / (n_k + D_k), where p_0 is the model's own
probability, c_k(x) the number of times that x follows these k pieces in the prompt, n_k the sum of
c_k, and t_k the number of different x. D_k = 50 t_k / k + 10 n_k / k² takes the place of t_k in
the interpolation of Witten and Bell (1991): the second term bounds what short contexts say, or else
a long prompt would outweigh the model. tests/benchmarks/generation.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.cells.fast.rows import whole_shares

LONGEST = 8
"""Pieces of a context, at most."""
_OF_KINDS, _OF_COUNT = 50.0, 10.0
"""Factors of t_k and n_k at a recall of 1."""
_LAST = 1 << 16
"""Pieces of a prompt that are remembered: the last ones."""


Amount = TypeVar("Amount", float, NDArray[np.float64])


def prior(n_k: Amount, t_k: Amount, k: int, strength: float) -> Amount:
    """Return D_k, what the model's own probability weighs, at a recall of ``strength``."""
    return (_OF_KINDS * t_k + _OF_COUNT / k * n_k) / (k * strength)


class Followers(NamedTuple):
    """What follows a context in a prompt.

    Attributes:
        places: of the pieces after the context, ascending.
        ids: these pieces, without repetition.
        counts: of each, float32.
    """

    places: NDArray[np.intp]
    ids: NDArray[np.int64]
    counts: NDArray[np.float32]


class Memory:
    """The pieces of a prompt, and what follows each context in it; looked up once each."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._ids = np.array(prompt[-_LAST:], np.int64)
        self._known: dict[tuple[int, ...], Followers | None] = {
            (): self._found(np.arange(1, len(self._ids)))
        }

    def after(self, context: tuple[int, ...]) -> Followers | None:
        """Return what follows a context, the last part of which has been asked for before."""
        try:
            return self._known[context]
        except KeyError:
            shorter = self._known[context[1:]]
            self._known[context] = found = self._longer(shorter, context) if shorter else None
            return found

    def _longer(self, shorter: Followers, context: tuple[int, ...]) -> Followers | None:
        before = shorter.places - len(context)
        return self._found(shorter.places[(before >= 0) & (self._ids[before] == context[0])])

    def _found(self, places: NDArray[np.intp]) -> Followers | None:
        if not len(places):
            return None
        ids, counts = np.unique(self._ids[places], return_counts=True)
        return Followers(places, ids, counts.astype(np.float32))


class _Row:
    """A text that remembers its prompt: how strongly, and its last pieces."""

    def __init__(self, memory: Memory, strength: float, read: Sequence[int]) -> None:
        self.memory, self.strength, self.last = memory, strength, list(read[-LONGEST:])

    def note(self, id_: int) -> None:
        self.last.append(id_)
        del self.last[:-LONGEST]

    def mix(self, p: NDArray[np.float32]) -> None:
        """Mix what the prompt says into probabilities (|V'|,), in place."""
        followers, ones, rests = [], [], []
        for k in range(1, len(self.last) + 1):
            found = self.memory.after(tuple(self.last[-k:]))
            if found is None:
                break
            count = len(found.places)
            D_k = prior(float(count), float(len(found.ids)), k, self.strength)
            followers.append(found)
            ones.append(1 / (count + D_k))
            rests.append(D_k / (count + D_k))
        p *= np.float32(prod(rests))
        for n, found in enumerate(followers):
            p[found.ids] += found.counts * np.float32(ones[n] * prod(rests[n + 1 :]))


class Recall:
    """The prompts of the rows of a batch that recall theirs.

    Args:
        rows: how many there are at most.
    """

    def __init__(self, rows: int) -> None:
        self._rows: list[_Row | None] = [None] * rows

    def set_row(
        self, row: int, memory: Memory | None, strength: float, read: Sequence[int]
    ) -> None:
        """Begin a text: its prompt, and the pieces that its state has read already."""
        self._rows[row] = _Row(memory, strength, read) if memory and strength else None

    def swap_rows(self, a: int, b: int) -> None:
        self._rows[a], self._rows[b] = self._rows[b], self._rows[a]

    def note(self, ids: NDArray[np.int64]) -> None:
        """Remember what the first rows have just read."""
        for row, id_ in zip(self._rows, ids.tolist(), strict=False):
            if row is not None:
                row.note(id_)

    def among(self, count: int) -> list[int]:
        """Return those of the first rows that recall a prompt."""
        return [n for n, row in enumerate(self._rows[:count]) if row is not None]

    def mix(self, scores: Tensor, rows: list[int], *, logits: bool) -> None:
        """Mix what their prompts say into some rows of probabilities or logits, in place.

        Args:
            scores: (B, |V'|).
            rows: those of ``among``.
            logits: whether scores are logits, and stay such.
        """
        some = torch.softmax(scores[rows], 1) if logits else scores[rows]
        some = some.cpu()
        for p, n in zip(some.numpy(), rows, strict=True):
            row = self._rows[n]
            if row is not None:
                row.mix(p)
        if logits:
            for part in whole_shares(some):
                part.log_()
        scores[rows] = some.to(scores.device)
