"""The sampling options of the rows of a batch, as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from chargen.options import SamplingConfig

_COLDEST, _HOTTEST = 1e-30, 1e30
_BY_ROOTS = 0.8
"""The default temperature: p^(1/0.8) is made of square roots, see ``sampler.by_roots``."""


def penalty_window(config: SamplingConfig) -> int:
    """How many pieces the repetition penalty looks back on."""
    return config.repetition_window if config.repetition_penalty != 1 else 1


class RowSettings:
    """The options of ``count`` rows as tensors; None where no row asks for a thing.

    Attributes:
        changed: the rows whose probabilities are changed by way of their logarithms.
        rooted: those that are changed by roots.
    """

    def __init__(self, configs: Sequence[SamplingConfig], device: torch.device) -> None:
        def column(values: list[float], dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)[:, None]

        def rows(chosen: list[int]) -> Tensor | None:
            return torch.tensor(chosen, device=device) if chosen else None

        self.count = len(configs)
        self.greedy = rows([n for n, c in enumerate(configs) if c.temperature == 0])
        self.inverse_temperature = column(
            [min(max(1 / (c.temperature or 1), _COLDEST), _HOTTEST) for c in configs]
        )
        limited = [n for n, c in enumerate(configs) if c.top_k or c.top_p < 1]
        self.limited = rows(limited)
        changed, rooted = [], []
        for n, c in enumerate(configs):
            if c.repetition_penalty != 1 or c.temperature not in (0, _BY_ROOTS, 1):
                changed.append(n)
            elif c.temperature == _BY_ROOTS:
                rooted.append(n)
        self.changed, self.rooted = rows(changed), rows(rooted)
        self.changes_all, self.roots_all = (len(x) == self.count for x in (changed, rooted))
        self.top_k = column([configs[n].top_k for n in limited], torch.int64)
        self.top_p = column([configs[n].top_p for n in limited], torch.float64)
        penalties = [c.repetition_penalty for c in configs]
        self.penalty = column(penalties) if any(x != 1 for x in penalties) else None
        self.min_p = column([c.min_p for c in configs]) if any(c.min_p for c in configs) else None
