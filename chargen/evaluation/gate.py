"""The gate between network and counts, set right on a text that neither has learnt from.

A network that has read a text several times knows it better than any other text, while what is
counted leaves each position out. So the gate that it learns trusts the network too much, the more
the text is learnt by heart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.machine.team import Team

_MOST = 1 << 15
"""Pieces that a calibration looks at, spread evenly."""
_ROUNDS = 40
_FARTHEST = 30.0
_LOWEST, _HIGHEST = np.array([0.1, -6.0]), np.array([3.0, 6.0])
"""Bounds of scale and offset."""
_TRUST = 10.0
"""Pieces that the gate as it was learnt counts for."""


@dataclass(frozen=True)
class Calibration:
    """What a gate becomes: σ(scale · x + offset) instead of σ(x)."""

    scale: float = 1.0
    offset: float = 0.0

    def after(self, first: Calibration) -> Calibration:
        """The calibration that is ``first`` and then this one."""
        return Calibration(self.scale * first.scale, self.scale * first.offset + self.offset)


@dataclass
class Evidence:
    """What is known of each scored piece.

    Attributes:
        gate: x of the gate σ(x), before any calibration; (n,) each.
        own: its cost under the network alone, in nats.
        counted: its probability by counting.
        at: its position.
    """

    gate: list[NDArray[np.float64]] = field(default_factory=list)
    own: list[NDArray[np.float64]] = field(default_factory=list)
    counted: list[NDArray[np.float64]] = field(default_factory=list)
    at: list[NDArray[np.int64]] = field(default_factory=list)

    def add(
        self, gate: Tensor, own: Tensor, counted: NDArray[np.float32], at: NDArray[np.int64]
    ) -> None:
        """Add n pieces: gate (n, 1) and costs (n,) on the device, probabilities, positions (n,)."""
        x = gate.double().clamp(-_FARTHEST, _FARTHEST)
        self.gate.append(x.squeeze(1).cpu().numpy())
        self.own.append(own.double().cpu().numpy())
        self.counted.append(counted.astype(np.float64))
        self.at.append(at)

    def gather(self, team: Team) -> None:
        """Know what all processes of a team know, in the order of their ranks."""
        for known in (self.gate, self.own, self.counted, self.at):
            mine = np.concatenate([np.empty(0, np.int64 if known is self.at else float), *known])
            found = team.gathered(torch.from_numpy(mine)).numpy()
            known[:] = [found] if len(found) else []

    def calibration(self) -> Calibration:
        """The calibration under which the pieces cost least.

        With r the network's share of each piece's probability, the gradient of the cost is that of
        a logistic regression of r on x. Its matrix of second derivatives, g (1 − g) x xᵀ, is an
        upper bound of the cost's own, (g (1 − g) − r (1 − r)) x xᵀ, and takes its place where that
        is not clearly positive: then a step is one of expectation maximisation, else Newton's.
        """
        if not self.gate:
            return Calibration()
        # by position, so that it doesn't matter in which order processes scored the pieces
        x, own, counted = (np.concatenate(each) for each in (self.gate, self.own, self.counted))
        chosen = np.argsort(np.concatenate(self.at), kind="stable")[:: -(-len(x) // _MOST)]
        x, p, counted = x[chosen], np.exp(-own[chosen]), counted[chosen]
        inputs, at = np.stack([x, np.ones_like(x)]), np.array([1.0, 0.0])
        prior = _TRUST * np.array([float(np.mean(x**2)) + 1e-9, 1.0]) / 4
        for _ in range(_ROUNDS):
            g = 1 / (1 + np.exp(-(at @ inputs)))
            share = g * p / (g * p + (1 - g) * counted)
            slope = inputs @ (share - g) - prior * (at - (1.0, 0.0))
            bound = (inputs * (g * (1 - g))) @ inputs.T + np.diag(prior)
            curve = bound - (inputs * (share * (1 - share))) @ inputs.T
            sound = np.linalg.eigvalsh(curve - 0.1 * bound).min() > 0
            step = np.linalg.solve(curve if sound else bound, slope)
            at = np.clip(at + step, _LOWEST, _HIGHEST)
            if np.abs(step).max() < 1e-4:
                break
        return Calibration(float(at[0]), float(at[1]))

    def gain(self, calibration: Calibration) -> float:
        """How many nats a piece cost less with a calibration."""
        x, own, counted = (np.concatenate(each) for each in (self.gate, self.own, self.counted))

        def mixed(x: NDArray[np.float64]) -> NDArray[np.float64]:
            g = 1 / (1 + np.exp(-x))
            return g * np.exp(-own) + (1 - g) * counted

        better = mixed(calibration.scale * x + calibration.offset)
        return float(np.log(better / mixed(x)).mean())
