"""Dropout of units, with one mask for all time steps."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dropout:
    """Drops units of a row for a whole window, with masks from a generator of its own.

    One mask a row, the same at every time step: Gal and Ghahramani, "A theoretically grounded
    application of dropout in recurrent neural networks", NeurIPS 2016.

    Attributes:
        share: of units that are dropped.
        generator: that the masks are drawn from.
        batch: rows that a mask is drawn for; None: as many as there are.
        rows: those of them that are there.
    """

    share: float
    generator: torch.Generator
    batch: int | None = None
    rows: slice = field(default_factory=lambda: slice(None))

    def __call__(self, x: Tensor) -> Tensor:
        """X (T, B, N) times a mask (1, B, N) of zeros and 1/(1 − share)."""
        kept = 1 - self.share
        batch, width = self.batch or x.shape[1], x.shape[2]
        mask = torch.empty((1, batch, width), device=self.generator.device)
        mask.bernoulli_(kept, generator=self.generator).div_(kept)
        return x * mask[:, self.rows].to(x)
