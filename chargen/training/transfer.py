"""Begin from another run's weights: characters that both vocabularies have keep their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from chargen.corpus.tokenizer import Tokenizer
from chargen.model import CharModel

if TYPE_CHECKING:
    from chargen.checkpoint import LoadedModel


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
