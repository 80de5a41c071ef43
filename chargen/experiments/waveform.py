"""Drawing a wave from memory: clockwork, LSTM and simple network of equal size.

A network without input has to put out a given waveform of 320 samples. One hidden layer, equal
numbers of parameters, weights from N(0, 0.1), Nesterov momentum 0.95, the error sent back through
the whole sequence: the set-up of Koutník, Greff, Gomez and Schmidhuber, "A clockwork RNN", ICML
2014, there with pieces of music. The wave here is made: three harmonics of a falling pitch under
a slow envelope, and a little noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chargen.cells import build_cell
from chargen.experiments.outcome import Curve, Outcome, Panel

SAMPLES = 320
PARAMETERS = 500
MOMENTUM = 0.95
RATES = (3e-2, 1e-2, 3e-3)
STEPS = 1000
_SPREAD = 0.1
_OPEN = 5.0
"""The LSTM's forget gates start open, as in the publication."""

NETWORKS: dict[str, dict[str, Any]] = {"clockwork": {"modules": 9}, "lstm": {}, "rnn": {}}


def run(*, steps: int = STEPS, seed: int = 0) -> Outcome:
    """Train each network at several learning rates, and report the best of each.

    Args:
        steps: of training, each with the whole sequence.
        seed: of the wave and of the initial weights.
    """
    wave = make_wave(seed)
    trials = [_best_trial(name, wave, steps, seed) for name in NETWORKS]
    time = tuple(float(n) for n in range(SAMPLES))
    made = tuple(Curve(trial.name, time, trial.output) for trial in trials)
    progress = tuple(
        Curve(trial.name, tuple(float(n) for n in range(steps)), trial.errors) for trial in trials
    )
    target = Curve("the wave", time, tuple(wave.tolist()))
    return Outcome(
        title=f"A wave of {SAMPLES} samples from memory, {PARAMETERS} parameters, {steps} steps",
        header=("cell", "units", "parameters", "learning rate", "MSE"),
        rows=tuple(
            (each.name, each.units, each.parameters, each.rate, each.errors[-1]) for each in trials
        ),
        panels=(
            Panel("what they draw", "sample", "amplitude", (target, *made)),
            Panel("how they learn", "step", "MSE", progress, logarithmic=True),
        ),
    )


def make_wave(seed: int) -> Tensor:
    """The target, (SAMPLES,), within ±1."""
    t = torch.linspace(0, 1, SAMPLES)
    phase = 2 * math.pi * (9 * t - 2 * t * t)
    tones = torch.sin(phase) + 0.6 * torch.sin(2 * phase + 1) + 0.3 * torch.sin(5 * phase + 2)
    noise = torch.randn(SAMPLES, generator=torch.Generator().manual_seed(seed))
    wave = tones * (0.3 + torch.sin(math.pi * t) ** 2) + 0.03 * noise
    return wave / wave.abs().max()


class WaveNetwork(nn.Module):
    """A cell that is fed nothing but its bias, and one linear unit that reads it."""

    def __init__(self, name: str, units: int) -> None:
        super().__init__()
        self.cell = build_cell(name, 0, units, **NETWORKS[name])
        self.output = nn.Linear(units, 1)

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.normal_(0, _SPREAD, generator=generator)
        if self.cell.gates == 4 and self.cell.b is not None:
            self.cell.b.chunk(4)[1].fill_(_OPEN)

    def forward(self) -> Tensor:
        """The whole wave, (SAMPLES,)."""
        nothing = torch.zeros(SAMPLES, 1, self.cell.gates * self.cell.hidden_size)
        outputs, _ = self.cell(nothing, self.cell.initial_state(1))
        wave: Tensor = self.output(outputs)[:, 0, 0]
        return wave


def size(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def largest(name: str) -> WaveNetwork:
    """The network with the most units that has ``PARAMETERS`` parameters at most."""
    units = 1
    while size(WaveNetwork(name, units + 1)) <= PARAMETERS:
        units += 1
    return WaveNetwork(name, units)


@dataclass(frozen=True)
class Trial:
    """A network that was trained; ``errors`` has the MSE before every step."""

    name: str
    units: int
    parameters: int
    rate: float
    errors: tuple[float, ...]
    output: tuple[float, ...]


def _best_trial(name: str, wave: Tensor, steps: int, seed: int) -> Trial:
    trials = [_train(name, wave, rate, steps, seed) for rate in RATES]
    return min(trials, key=lambda trial: trial.errors[-1])


def _train(name: str, wave: Tensor, rate: float, steps: int, seed: int) -> Trial:
    network = largest(name)
    network.reset_parameters(seed)
    optimizer = torch.optim.SGD(network.parameters(), rate, momentum=MOMENTUM, nesterov=True)
    errors = []
    for _ in range(steps):
        optimizer.zero_grad()
        error = torch.nn.functional.mse_loss(network(), wave)
        error.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        errors.append(float(error.detach()))
    with torch.no_grad():
        output = tuple(network().tolist())
    errors = [each if math.isfinite(each) else math.inf for each in errors]
    return Trial(name, network.cell.hidden_size, size(network), rate, tuple(errors), output)
