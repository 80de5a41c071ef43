"""The distribution of a network with counts: the one place where generation mixes the two."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.cells.fast.rows import VECTOR, sigmoid_, whole_shares
from chargen.ngrams import KneserNey


class Mixture:
    """log[g · softmax(o) + (1 − g) · P_n] for the rows of a batch.

    A row's bits depend on its logits and the state of its n-grams alone: sums run along rows, what
    is computed element by element is either exactly rounded or done in whole vectors.

    Args:
        ngram: P_n.
    """

    def __init__(self, ngram: KneserNey) -> None:
        self.ngram = ngram

    def log(self, o: Tensor, state: NDArray[np.int64], spare: NDArray[np.float32]) -> Tensor:
        """Turn logits into logarithms of the mixture, in place.

        Args:
            o: (B, |V'|): V·s + c for |V| pieces, then −∞, and last w·s + b.
            state: of the n-grams, (B, n − 1).
            spare: (B, |V|), overwritten.
        """
        gate = sigmoid_(o[:, -1:].expand(-1, VECTOR).contiguous())[:, :1]
        o[:, -1] = float("-inf")
        others = (1 - gate).squeeze(1).cpu().numpy()
        torch.softmax(o, 1, out=o).mul_(gate)
        counted = self.ngram.row(state, spare, others)
        o[:, : self.ngram.size] += torch.from_numpy(counted).to(o.device)
        for part in whole_shares(o):
            part.log_()
        return o
