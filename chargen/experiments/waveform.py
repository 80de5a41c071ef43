"""Training of many networks at once to output a waveform without input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim import SGD

from chargen.cells import build_cell

SAMPLES = 320
MOMENTUM = 0.95
SPREAD = 0.1
"""Standard deviation of the initial weights."""
OPEN = 5.0
"""Initial bias of a forget gate."""
CLIP = 1.0
"""Largest norm of a network's gradient."""


def make_wave(samples: int = SAMPLES) -> Tensor:
    """Make the target (samples,), within ±1: five harmonics with varying amplitudes."""
    t = torch.linspace(0, 1, samples, dtype=torch.float64)
    wave = torch.zeros_like(t)
    for harmonic, strength, turns, phase in (
        (1, 1.0, 0.5, 0.3),
        (2, 0.7, 1.0, 1.9),
        (3, 0.5, 1.5, 0.7),
        (5, 0.35, 1.0, 2.6),
        (8, 0.2, 2.0, 1.1),
    ):
        amplitude = strength * (0.6 + 0.4 * torch.cos(2 * math.pi * turns * t + phase))
        wave += amplitude * torch.sin(2 * math.pi * 3 * harmonic * t + phase)
    return (wave / wave.abs().max()).float()


class WaveNetwork(nn.Module):
    """A hidden layer whose only input is its bias, and a linear output unit."""

    def __init__(self, cell: str, units: int, **options: Any) -> None:
        super().__init__()
        self.cell = build_cell(cell, 0, units, **options)
        self.output = nn.Linear(units, 1)

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Draw all weights from N(0, 0.1), and open the forget gates."""
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.normal_(0, SPREAD, generator=generator)
        if self.cell.b is not None and "f" in self.cell.gate_names:
            gates = self.cell.b.chunk(self.cell.gates)
            gates[self.cell.gate_names.index("f")].fill_(OPEN)

    def forward(self, samples: int) -> Tensor:
        """Return the output (samples,): one step of the cell per sample, from a state of zeros."""
        cell, outputs = self.cell, []
        u = cell.project(torch.zeros(1, cell.gates * cell.hidden_size))
        state = cell.initial_state(1)
        for _ in range(samples):
            s, state = cell.step(u, state)
            outputs.append(s)
        wave: Tensor = self.output(torch.cat(outputs))[:, 0]
        return wave

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


@dataclass(frozen=True)
class Learnt:
    """The result of training R networks at once.

    Attributes:
        errors: MSE of each network before every step and after the last, (steps + 1, R).
        waves: output of each network when its MSE was lowest, (R, samples).
    """

    errors: Tensor
    waves: Tensor


def learn_wave(
    network: WaveNetwork,
    wave: Tensor,
    trials: Sequence[tuple[float, int]],
    steps: int,
    on_step: Callable[[int], None],
) -> Learnt:
    """Train an independent copy of ``network`` for each trial, all at once.

    Uses full backpropagation through time, gradients of each copy clipped by their norm, and
    Nesterov momentum. The copies' weights are stacked, and ``vmap`` maps the network over them.

    Args:
        network: the network to copy; its weights are overwritten.
        wave: the target, (samples,).
        trials: learning rate and seed of the initial weights of each copy.
        steps: number of training steps.
        on_step: called with the number of steps made after each.
    """
    weights = _stacked(network, [seed for _, seed in trials])
    rates = torch.tensor([rate for rate, _ in trials])
    put_out = vmap(lambda own: functional_call(network, own, (len(wave),)))
    # Nesterov's step is linear in the gradient, so a copy's rate can be a factor of its gradient.
    optimizer = SGD(weights.values(), lr=1.0, momentum=MOMENTUM, nesterov=True)
    errors = torch.full((steps + 1, len(trials)), math.inf)
    best, waves = torch.full_like(rates, math.inf), torch.zeros(len(trials), len(wave))
    for step in range(steps + 1):
        made = put_out(weights)
        mse = (made - wave).square().mean(dim=1)
        errors[step] = mse.detach()
        better = mse.detach() < best
        best = torch.where(better, mse.detach(), best)
        waves = torch.where(better[:, None], made.detach(), waves)
        if step < steps:
            optimizer.zero_grad(set_to_none=True)
            mse.sum().backward()
            _clip(weights, rates)
            optimizer.step()
            on_step(step + 1)
    return Learnt(errors.nan_to_num(nan=math.inf), waves)


def _stacked(network: WaveNetwork, seeds: Sequence[int]) -> dict[str, Tensor]:
    """Initial weights by name, one copy per seed along the first dimension."""
    copies = []
    for seed in seeds:
        network.reset_parameters(seed)
        copies.append({name: p.detach().clone() for name, p in network.named_parameters()})
    return {
        name: torch.stack([copy[name] for copy in copies]).requires_grad_() for name in copies[0]
    }


def _clip(weights: Mapping[str, Tensor], rates: Tensor) -> None:
    """Clip each copy's gradient to a norm of ``CLIP``, and multiply it by the learning rate."""
    grads = [weight.grad for weight in weights.values() if weight.grad is not None]
    norm = torch.stack([grad.flatten(1).square().sum(dim=1) for grad in grads]).sum(dim=0).sqrt()
    factor = rates * (CLIP / norm).clamp(max=1.0)
    for grad in grads:
        grad.mul_(factor.view(-1, *[1] * (grad.ndim - 1)))
