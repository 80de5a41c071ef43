"""Where a run's weights begin: at the frequencies of its characters, or at another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.tokenizer import Tokenizer
from chargen.model import CharModel

if TYPE_CHECKING:
    from chargen.checkpoint import LoadedModel

_AT_ONCE = 1 << 20
"""Pieces that are counted in one go."""


def begin_weights(model: CharModel, corpus: PreparedCorpus, source: LoadedModel | None) -> None:
    """Complete the initial weights of ``model`` by what is known before training.

    Its biases c tell how frequent the pieces are in the training text, so that no step is spent
    on learning that; what ``source`` knows comes over it.
    """
    size = corpus.tokenizer.size
    counts = np.zeros(size)
    for first in range(0, len(corpus.train), _AT_ONCE):
        counts += np.bincount(corpus.train[first : first + _AT_ONCE], minlength=size)
    model.expect(torch.from_numpy(counts))
    if source:
        adopt_weights(model, corpus.tokenizer, source)


@torch.no_grad()
def adopt_weights(model: CharModel, tokenizer: Tokenizer, source: LoadedModel) -> int:
    """Copy the weights of ``source`` into ``model``, whose vocabulary may differ.

    The layers are copied whole, so their shapes must agree; of the table, V and c, the rows of
    pieces that both have. Other rows keep what they are. Returns the number of pieces shared.
    """
    theirs = {source.tokenizer.piece(n): n for n in range(source.tokenizer.size)}
    pairs = [
        (theirs[piece], n) for n in range(tokenizer.size) if (piece := tokenizer.piece(n)) in theirs
    ]
    old = torch.tensor([a for a, _ in pairs])
    new = torch.tensor([b for _, b in pairs])
    given = source.model.state_dict()
    for name, tensor in model.state_dict().items():
        if name in ("table", "V", "c"):
            tensor[new] = given[name][old].to(tensor)
        else:
            tensor.copy_(given[name])
    return len(pairs)
