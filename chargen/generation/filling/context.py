"""What a network says of the next character of a line, whether it has read both sides or one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.cells.fast.rows import RowProduct
from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.filling.gapped import GAP, Gapped
from chargen.generation.folded import Network, Rows
from chargen.machine.precision import exact_float32
from chargen.network.infiller import Infiller
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey


class Context(Protocol):
    """Where the probabilities of a line come from.

    Letters in shapes: B fillings side by side, |V| pieces.

    Attributes:
        network: that reads from left to right.
        conditional: whether a probability is one given the rest of the line. Otherwise it is one
            given what comes before, and what comes after a gap has to be read to judge a filling.
        last_piece: what follows a line.
    """

    @property
    def network(self) -> Network: ...

    @property
    def conditional(self) -> bool: ...

    @property
    def last_piece(self) -> int: ...

    def begin(self, line: Gapped) -> None:
        """Read what can be read of a line before any of its gaps is filled."""

    def scores(self, rows: Rows, s: Tensor, count: int, place: int) -> Tensor:
        """Logits or log-probabilities of the piece at a place, (count, |V|), for outputs s."""


class BothSides:
    """A network that reads from both ends: its backward half has read all that is known."""

    conditional = True

    def __init__(self, model: Infiller, tokenizer: Tokenizer) -> None:
        self._model, self._tokenizer = model, tokenizer
        with torch.inference_mode():
            self.network = Network(model.ahead_alone())
            spare = self.network.width - tokenizer.size
            self._V = RowProduct(F.pad(model.back_matrix(), [0, 0, 0, spare]))
        self.last_piece = tokenizer.end_id
        self._from_right = torch.empty(0)

    @exact_float32()
    def begin(self, line: Gapped) -> None:
        n, device = len(line.ids), self._model.table.device
        later = torch.tensor([*line.ids[1:], self.last_piece], device=device)[:, None]
        gaps = later == GAP
        lengths = torch.tensor([n], device=device)
        s = self._model.read_back(later.clamp(min=0), lengths, gaps)[:, 0]
        self._from_right = self._V(F.pad(s, [0, 0, 0, -n % self._V.tile]))[:n]

    def scores(self, rows: Rows, s: Tensor, count: int, place: int) -> Tensor:
        o = rows.scores(s, count) + self._from_right[place]
        return o[:, : self._tokenizer.size]


class LeftSide:
    """A language model, which has read what comes before: mixed with its counts, if it has any."""

    conditional = False

    def __init__(
        self, model: CharModel, tokenizer: Tokenizer, ngram: KneserNey | None = None
    ) -> None:
        with torch.inference_mode():
            self.network = Network(model, ngram)
        self._size = tokenizer.size
        self.last_piece = tokenizer.end_id if model.config.records else tokenizer.newline_id

    def begin(self, line: Gapped) -> None:
        """Nothing is read from the right."""

    def scores(self, rows: Rows, s: Tensor, count: int, place: int) -> Tensor:
        del place
        o = rows.scores(s, count)[:, : self._size]
        return o if self.network.mixture is None else o.log()


def fed(pieces: list[int], network: Network) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Pieces for the first rows, filled up to whole tiles."""
    spare = -len(pieces) % network.tile
    return np.array([*pieces, *[0] * spare], np.int64)
