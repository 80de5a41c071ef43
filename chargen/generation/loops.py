"""What would prolong a repetition: runs of pieces that a text has had before, and their next piece.

After Weidmann's sampler "DRY" (text-generation-webui, pull request 5677, 2024). Here the penalty
grows linearly with the length of the run and with 1 − temperature, and spares what is no free
choice: letters inside a word, punctuation, bytes inside a character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.corpus.tokenizer import Tokenizer
from chargen.options import SamplingConfig

FREE, IN_WORD, MARK, BYTE = range(4)
"""Kinds of pieces: a free choice, a letter or digit of a script whose words have spaces between
them, anything else such as punctuation, and a byte inside a character."""

_LONGEST = 255
"""Lengths of repetitions are counted up to here."""
_SPARED = 32
"""Marks and letters inside a word are penalised in longer repetitions only: loops must end."""
_MOST = 30.0
"""The greatest penalty in nats: no piece may lose all of its probability by rounding."""


def kinds_of(tokenizer: Tokenizer) -> NDArray[np.int8]:
    """The kind of each piece, (|V|,)."""
    values = tokenizer.byte_values
    kinds = np.array(
        [FREE if byte >= 0 else _kind(tokenizer.piece(n)) for n, byte in enumerate(values)], np.int8
    )
    kinds[(values >= 0x80) & (values < 0xC0)] = BYTE
    return kinds


def _kind(character: str) -> int:
    if len(character) != 1 or unicodedata.category(character)[0] not in "LMN":
        return MARK
    return FREE if unicodedata.east_asian_width(character) in "WF" else IN_WORD


def strength(config: SamplingConfig) -> float:
    """Nats that each piece of a repetition costs; 0: the row has no loop penalty."""
    return config.loop_penalty * max(0.0, 1 - config.temperature)


@dataclass(frozen=True)
class Penalties:
    """What is taken from the logits of some pieces; no pair of row and id occurs twice.

    Attributes:
        rows, ids: (N,), int64.
        nats: (N,), float32, above 0.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    nats: NDArray[np.float32]

    def among(self, rows: Tensor) -> Penalties:
        """Those of some rows, ascending, by their place among these."""
        chosen = rows.cpu().numpy()
        here = np.isin(self.rows, chosen)
        places = np.searchsorted(chosen, self.rows[here])
        return Penalties(places, self.ids[here], self.nats[here])

    def of_others(self, rows: Tensor | None) -> Penalties:
        """Those of all rows but some."""
        if rows is None:
            return self
        here = ~np.isin(self.rows, rows.cpu().numpy())
        return Penalties(self.rows[here], self.ids[here], self.nats[here])

    def lower_logits(self, o: Tensor) -> None:
        """Subtract the penalties from logits (B, |V'|), in place."""
        o[self._places(o)] -= torch.from_numpy(self.nats).to(o.device)

    def lower_probabilities(self, p: Tensor) -> None:
        """Multiply probabilities (B, |V'|) by e to the power of −nats, in place."""
        factors = [exp(-nats) for nats in self.nats.tolist()]
        p[self._places(p)] *= torch.tensor(factors, dtype=p.dtype, device=p.device)

    def _places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.rows).to(x.device), torch.from_numpy(self.ids).to(x.device)


class Loops:
    """The last pieces of each row's text, and how long each of them ends a repetition.

    All rows share a clock: a step writes the same column of every row. ``_lengths[row, c]`` is the
    number of pieces up to column c of the window that are also the last ones of the text; a step
    turns it into itself + 1 where the piece after is the one just read, otherwise into 0.

    Args:
        rows: how many there are at most.
        kinds: of the pieces, (|V|,).
    """

    def __init__(self, rows: int, kinds: NDArray[np.int8]) -> None:
        self._kinds = kinds
        self._strength = np.zeros(rows, np.float32)
        self._free = np.full(rows, _LONGEST, np.uint8)
        self._windows = np.ones(rows, np.int64)
        self._width = 2
        # Few bytes a piece, since every step compares all of the windows; the greatest is no id.
        self._dtype = np.dtype(np.uint16 if len(kinds) < 1 << 16 else np.int32)
        self._nothing = (1 << 16) - 1 if self._dtype == np.uint16 else (1 << 31) - 1
        self._ids = np.full((rows, 2 * self._width), self._nothing, self._dtype)
        self._end = self._width
        self._lengths = np.zeros((rows, self._width - 1), np.uint8)
        self._active = False

    def set_row(self, row: int, config: SamplingConfig, read: Sequence[int]) -> None:
        """Begin a text: its options, and the pieces that its state has read already."""
        self._strength[row] = strength(config)
        self._free[row] = min(config.loop_length, _LONGEST)
        self._windows[row] = config.loop_window
        self._lengths[row] = 0
        if not self._strength[row]:
            return
        self._active = True
        self._widen(max(2, config.loop_window))
        self._ids[row] = self._nothing
        past = np.array(read[-(self._width + _LONGEST) :], self._dtype)
        if not len(past):
            return
        kept = past[-self._width :]
        self._ids[row, self._end - len(kept) : self._end] = kept
        lengths = _repeated(past)[-len(self._lengths[row]) :]
        self._lengths[row, len(self._lengths[row]) - len(lengths) :] = lengths

    def swap_rows(self, a: int, b: int) -> None:
        if self._active:
            for values in (self._strength, self._free, self._windows, self._ids, self._lengths):
                values[[a, b]] = values[[b, a]]

    def note(self, ids: NDArray[np.int64]) -> None:
        """Remember what the first rows have just read."""
        if not self._active:
            return
        if self._end == self._ids.shape[1]:
            self._ids[:, : self._width] = self._ids[:, -self._width :]
            self._end = self._width
        new = ids.astype(self._dtype)
        self._ids[: len(ids), self._end] = new
        self._end += 1
        lengths = self._lengths[: len(ids)]
        before = self._ids[: len(ids), self._end - self._width : self._end - 1]
        np.minimum(lengths, _LONGEST - 1, out=lengths)
        lengths += 1
        lengths *= (before == new[:, None]).view(np.uint8)

    def penalties(self, count: int) -> Penalties | None:
        """What the first rows pay for going on with a repetition; None: nothing."""
        if not self._active:
            return None
        lengths = self._lengths[:count]
        found = np.flatnonzero(lengths >= self._free[:count, None])
        rows, columns = np.divmod(found, self._width - 1)
        near = columns >= self._width - self._windows[rows]
        near &= self._strength[rows] > 0
        rows, columns = rows[near], columns[near]
        if not len(rows):
            return None
        ids = self._ids[rows, self._end - self._width + columns + 1].astype(np.int64)
        spared = self._kinds[ids] == MARK
        last = self._ids[rows, self._end - 1]
        spared |= (self._kinds[ids] == IN_WORD) & (self._kinds[last] == IN_WORD)
        free = self._free[rows].astype(np.int64)
        free = np.where(spared, np.maximum(_SPARED, free), free)
        beyond = lengths[rows, columns] - free + 1
        beyond[self._kinds[ids] == BYTE] = 0
        nats = np.minimum(self._strength[rows] * beyond.astype(np.float32), np.float32(_MOST))
        return _greatest(rows[beyond > 0], ids[beyond > 0], nats[beyond > 0])

    def _widen(self, width: int) -> None:
        """Make room for a window of ``width`` pieces in every row."""
        more = width - self._width
        if more <= 0:
            return
        ids = np.full((len(self._ids), 2 * width), self._nothing, self._dtype)
        ids[:, more:width] = self._ids[:, self._end - self._width : self._end]
        self._lengths = np.pad(self._lengths, ((0, 0), (more, 0)))
        self._ids, self._width, self._end = ids, width, width


def _repeated(past: NDArray[Any]) -> NDArray[np.uint8]:
    """How many pieces up to each but the last are also the last ones, (N − 1,)."""
    last = len(past) - 1
    lengths = np.zeros(last, np.uint8)
    alive = np.arange(last)
    for back in range(_LONGEST):
        alive = alive[alive >= back]
        alive = alive[past[alive - back] == past[last - back]]
        if not len(alive):
            break
        lengths[alive] += 1
    return lengths


def _greatest(
    rows: NDArray[np.int64], ids: NDArray[np.int64], nats: NDArray[np.float32]
) -> Penalties | None:
    """The greatest penalty of each pair of row and id; None where there is none."""
    if not len(rows):
        return None
    order = np.lexsort((nats, ids, rows))
    rows, ids, nats = rows[order], ids[order], nats[order]
    last = np.append((rows[1:] != rows[:-1]) | (ids[1:] != ids[:-1]), True)
    return Penalties(rows[last], ids[last], nats[last])
