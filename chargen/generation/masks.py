"""Which pieces a text can't go on with, whatever the model says."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.text import bytes_that_may_follow, may_begin


class Masks:
    """Never-sampled pieces, and bytes that would be no UTF-8.

    Attributes:
        at_start: ids that can't come where no character is begun, (N,), int64.
        never: the same, and the numbers of the spare columns, in an array on the CPU.
        on_cpu: whether rows are masked there.
        not_empty: the mask of an answer's first piece, which isn't the end: (|V'|,).

    Args:
        width: |V'|, the logits of a row.
        end: the piece that ends a text, which may be drawn; -1: there is none.
    """

    def __init__(
        self, tokenizer: Tokenizer, width: int, device: torch.device, end: int = -1
    ) -> None:
        never = np.array(tokenizer.never_sampled, bool)
        if end >= 0:
            never[end] = False
        self._values = tokenizer.byte_values
        at_start = np.flatnonzero(
            never | np.array([b >= 0 and not may_begin(b) for b in self._values.tolist()])
        )
        self.at_start = torch.from_numpy(at_start).to(device)
        self.never = np.append(at_start, np.arange(tokenizer.size, width))
        self.on_cpu = device.type == "cpu"
        self._width = width
        self.not_empty = np.zeros(width, np.float32)
        self.not_empty[self.never] = -np.inf
        self.not_empty[end] = -np.inf
        self._inside: dict[range, NDArray[np.float32]] = {}

    def inside(self, begun: bytes) -> NDArray[np.float32]:
        """0 for the bytes that may follow in a character, else −∞: (|V'|,)."""
        allowed = bytes_that_may_follow(begun)
        if allowed not in self._inside:
            mask = np.full(self._width, -np.inf, np.float32)
            mask[np.flatnonzero(np.isin(self._values, allowed))] = 0
            self._inside[allowed] = mask
        return self._inside[allowed]
