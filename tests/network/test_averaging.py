from __future__ import annotations

from typing import Any

import pytest
import torch

from chargen.network.averaging import averaged
from chargen.network.model import CharModel
from chargen.options import CELLS
from tests.support import small_model

V, T, B, LABELS = 11, 7, 3, 4
JOINED = [name for name, row in CELLS.items() if row.side_by_side]
SHAPES: list[dict[str, Any]] = [
    *({"cell": name} for name in JOINED),
    {"cell": "gru", "embedding_size": 0, "labels": LABELS},
    {"cell": "lstm", "embedding_size": 0, "num_layers": 2},
    {"cell": "lstm,rnn", "num_layers": 2, "tie_weights": True, "ngram": "3", "labels": LABELS},
    {"cell": "lstm", "bias": False, "tie_weights": True},
]


def logits(network: CharModel) -> torch.Tensor:
    """Those of the pieces, and that of the gate, of a few rows, (T, B, |V| + 1)."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(V, (T, B), generator=generator)
    v = torch.rand(B, LABELS, generator=generator, dtype=torch.float64)
    s, _ = network(ids, network.initial_state(B), v=v if network.config.labels else None)
    o = network.logits(s)
    if network.w is None or network.b is None:
        return o
    return torch.cat([o, (s @ network.w + network.b)[..., None]], 2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("count", [2, 3])
def test_logits_are_the_means_of_those_of_the_networks(shape: dict[str, Any], count: int) -> None:
    networks = [small_model(V, seed=seed, **shape) for seed in range(count)]
    whole = averaged(networks)
    assert whole.config.hidden_size == count * networks[0].config.hidden_size
    wanted = torch.stack([logits(network) for network in networks]).mean(0)
    torch.testing.assert_close(logits(whole), wanted, rtol=1e-9, atol=1e-9)
