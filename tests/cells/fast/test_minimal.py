"""The recurrence of the minimal cells in parallel, against the loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chargen.cells.fast.minimal import linear_recurrence

B, H = 3, 5


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8, 13])
def test_the_parallel_recurrence_is_the_loop(steps: int) -> None:
    a, v, h = torch.sigmoid(random(steps, B, H)), random(steps, B, H, seed=1), random(B, H, seed=2)
    found = linear_recurrence(a, v, h)
    for t in range(steps):
        h = a[t] * h + v[t]
        torch.testing.assert_close(found[t], h)


def test_the_parallel_recurrence_bears_gates_that_are_shut_or_open() -> None:
    a = torch.tensor([0.0, 1.0, 1e-38, 0.0, 1.0, 1.0])[:, None, None].expand(6, 1, 1)
    h = linear_recurrence(a, torch.ones(6, 1, 1), torch.full((1, 1), 1e30))
    torch.testing.assert_close(h.flatten(), torch.tensor([1.0, 2.0, 1.0, 1.0, 2.0, 3.0]))
