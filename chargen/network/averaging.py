"""Several networks as one, whose logits are the mean of theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from chargen.network.model import CharModel


@torch.no_grad()
def averaged(networks: Sequence[CharModel]) -> CharModel:
    """Return the network whose logits, and whose gate's, are the means of those of K networks.

    They stand side by side in it: its vectors have the units of all of them, and its matrices have
    theirs as blocks on the diagonal, and zeros elsewhere. So it is a network of the same kind with
    K times the units. Its distribution is the geometric mean of theirs, normalised:
    p(x) ∝ Π p_k(x)^(1/K).

    Args:
        networks: of the same options, which ``can_be_averaged``.

    Source: Heskes, "Selecting weighting factors in logarithmic opinion pools", NIPS 1997.
    """
    count, config = len(networks), networks[0].config
    size, embedding = count * config.hidden_size, count * config.embedding_size
    whole = CharModel(replace(config, hidden_size=size, embedding_size=embedding))
    whole.to(networks[0].table.dtype)
    # A tied table is multiplied by √E where it is read, and E is now K times as large.
    share = math.sqrt(count) if config.tie_weights else 1.0
    gates = 1 if embedding else networks[0].cells[0].gates
    joins: dict[str, Callable[[Sequence[Tensor]], Tensor]] = {
        "table": lambda tables: _beside(tables, gates, 1) / share,
        "R": lambda matrices: _beside(matrices, gates, 0),
        "V": lambda matrices: _beside(matrices, 1, 1) / count,
        "P": lambda matrices: _diagonal(matrices, 1) * share / count,
        "c": _mean,
        "w": lambda vectors: _beside(vectors, 1, 0) / count,
        "b": _mean,
    }
    for name, parameter in whole.named_parameters(recurse=False):
        parameter.copy_(joins[name]([network.get_parameter(name) for network in networks]))
    for joined, *cells in zip(whole.cells, *(network.cells for network in networks), strict=True):
        for name, parameter in joined.named_parameters():
            parts = [cell.get_parameter(name) for cell in cells]
            blocks = len(parameter) // joined.hidden_size
            join = _beside if parameter.ndim == 1 else _diagonal
            parameter.copy_(join(parts, blocks))
    return whole


def _mean(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).mean(0)


def _beside(parts: Iterable[Tensor], gates: int, dim: int = 0) -> Tensor:
    """Put the units of K networks beside each other, in each gate of a dimension of gates · H."""
    by_gate = [torch.unflatten(part, dim, (gates, -1)) for part in parts]
    return torch.cat(by_gate, dim + 1).flatten(dim, dim + 1)


def _diagonal(parts: Iterable[Tensor], gates: int) -> Tensor:
    """Put K matrices (gates · H, N) on the diagonal of each gate: (gates · K·H, K·N)."""
    by_gate = zip(*(torch.unflatten(part, 0, (gates, -1)) for part in parts), strict=True)
    diagonals = [torch.block_diag(*each) for each in by_gate]  # type: ignore[no-untyped-call]
    return torch.cat(diagonals)
