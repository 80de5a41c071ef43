"""Whether a network remembers: a text of four random letters, and the same four again."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from chargen.network.model import CharModel
from chargen.options import CELLS, ModelConfig
from tests.cells.cases import MEMORYLESS

LETTERS, START = 6, 6
CHANCE = math.log(LETTERS)
LEARNT = 0.3 * CHANCE


def cost_of_second_half(options: dict[str, Any], most_steps: int) -> float:
    """Nats a letter of the second half, after training until it is learnt or time is up."""
    generator = torch.Generator().manual_seed(0)
    model = CharModel(ModelConfig(LETTERS + 1, hidden_size=48, embedding_size=16, **options))
    model.reset_parameters(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True)
    nats = math.inf
    for step in range(1, most_steps + 1):
        letters = torch.randint(LETTERS, (4, 64), generator=generator).repeat(2, 1)
        ids = torch.cat([torch.full((1, 64), START), letters[:-1]])
        state = model.initial_state(64)
        if step % 50 == 0:
            with torch.no_grad():
                s, _ = model(ids, state)
                nats = float(model.score(s[4:].flatten(0, 1), letters[4:].flatten())[0].mean())
            if nats < LEARNT:
                break
        optimizer.zero_grad()
        model.loss(ids, letters, state)[0].backward()
        optimizer.step()
    return nats


@pytest.mark.parametrize("cell", [name for name in CELLS if name not in MEMORYLESS])
def test_a_network_with_memory_learns_what_is_repeated(cell: str) -> None:
    assert cost_of_second_half({"cell": cell, "num_layers": 2}, 600) < LEARNT


@pytest.mark.parametrize(
    "options",
    [{"cell": "jordan"}, {"cell": "jordan", "teacher_forcing": True}, {"cell": "feedforward"}],
)
def test_a_network_without_memory_does_not(options: dict[str, Any]) -> None:
    assert cost_of_second_half(options, 300) > 2 * LEARNT
