"""How much of each character of a text is the network's, and how much is counting's."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.tokenizer import Tokenizer
from chargen.network.model import CharModel


def character_gates(
    model: CharModel,
    tokenizer: Tokenizer,
    ids: NDArray[np.integer],
    v: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """The gate before each character of ``ids``: 0 is counting alone, 1 the network alone, (N,).

    The gate of a character of several pieces is that of its first one.

    Args:
        model: that has a gate.
        tokenizer: the model's.
        ids: the text, of N characters.
        v: the labels of the text, (L,), where the model has any.
    """
    read = np.concatenate([[tokenizer.newline_id], np.asarray(ids[:-1], np.int64)])
    with torch.no_grad():
        inputs = torch.from_numpy(read)[:, None].to(model.table.device)
        labels = None if v is None else torch.from_numpy(v)[None].to(model.table.device)
        s, _ = model(inputs, model.initial_state(1), None, labels)
        gates = model.gate(s.flatten(0, 1)).flatten().double().cpu().numpy()
    found: NDArray[np.float64] = gates[np.flatnonzero(tokenizer.character_starts(ids))]
    return found
