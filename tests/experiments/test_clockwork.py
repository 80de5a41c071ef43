from __future__ import annotations

import statistics
from typing import Any

import pytest
import torch

from chargen.cells.base import RecurrentCell
from chargen.experiments.clockwork import NETWORKS, PARAMETERS, draw_wave, largest
from chargen.experiments.waveform import (
    CLIP,
    MOMENTUM,
    OPEN,
    SPREAD,
    WaveNetwork,
    learn_wave,
    make_wave,
)

NETWORK = pytest.mark.parametrize("cell", NETWORKS)


def learn_alone(network: WaveNetwork, wave: torch.Tensor, rate: float, seed: int) -> list[float]:
    """MSE before each of four steps, by torch's own optimiser and clipping."""
    network.reset_parameters(seed)
    optimizer = torch.optim.SGD(network.parameters(), rate, momentum=MOMENTUM, nesterov=True)
    errors = []
    for _ in range(4):
        cell = network.cell
        u = cell.project(torch.zeros(len(wave), 1, cell.gates * cell.hidden_size))
        outputs, _ = cell.scan(u, cell.initial_state(1))
        error = (network.output(outputs)[:, 0, 0] - wave).square().mean()
        errors.append(float(error.detach()))
        optimizer.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
    return errors


@NETWORK
def test_networks_side_by_side_learn_as_each_alone(cell: str) -> None:
    network, wave = WaveNetwork(cell, 9, **NETWORKS[cell]), make_wave(12) * 3
    trials = [(0.03, 0), (0.3, 0), (0.3, 5), (3.0, 5)]
    learnt = learn_wave(network, wave, trials, 3, lambda _step: None)
    alone = [learn_alone(network, wave, rate, seed) for rate, seed in trials]
    torch.testing.assert_close(learnt.errors.T, torch.tensor(alone), rtol=1e-3, atol=1e-5)


@NETWORK
def test_the_wave_kept_is_the_best_one(cell: str) -> None:
    wave = make_wave(24)
    learnt = learn_wave(WaveNetwork(cell, 9), wave, [(1.0, 0), (0.1, 1)], 6, lambda _step: None)
    kept = (learnt.waves - wave).square().mean(dim=1)
    torch.testing.assert_close(kept, learnt.errors.min(dim=0).values)


def test_the_weights_begin_as_published() -> None:
    network = WaveNetwork("lstm", 64)
    network.reset_parameters(3)
    assert isinstance(network.cell, RecurrentCell)
    assert float(network.cell.W.detach().std()) == pytest.approx(SPREAD, rel=0.03)
    assert network.cell.b is not None
    i, f, _, _ = network.cell.b.detach().chunk(4)
    assert set(f.tolist()) == {OPEN}
    assert float(i.abs().max()) < 5 * SPREAD


def test_the_networks_are_of_equal_size() -> None:
    sizes = [largest(cell).size for cell in NETWORKS]
    assert max(sizes) <= PARAMETERS
    assert min(sizes) > 0.97 * PARAMETERS


def test_the_wave_fills_its_range() -> None:
    wave = make_wave()
    assert wave.shape == (320,)
    assert float(wave.abs().max()) == 1.0
    assert abs(float(wave.mean())) < 0.1


def test_every_network_gets_the_same_search_and_its_best_rate_counts() -> None:
    size: dict[str, Any] = {"steps": 3, "seeds": 3, "rates": (1e-4, 0.1), "samples": 20}
    told: list[tuple[str, float, float]] = []
    outcome = draw_wave(**size, on_progress=lambda *each: told.append(each))
    assert [search.cell for search in outcome.searches] == list(NETWORKS)
    assert told[-1] == ("rnn", 9, 9)
    for search in outcome.searches:
        medians = {rate: statistics.median(errors) for rate, errors in search.errors.items()}
        assert list(medians) == [1e-4, 0.1]
        assert search.median == medians[search.rate] == min(medians.values())
        assert search.course[-1] == pytest.approx(search.median)
        shown = [(a - b) ** 2 for a, b in zip(search.wave, outcome.target, strict=True)]
        assert statistics.fmean(shown) == pytest.approx(search.median, rel=1e-4)
    assert draw_wave(**size) == outcome
