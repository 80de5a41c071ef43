from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chargen.generation import drawing
from chargen.generation.loops import Loops
from chargen.generation.sampler import Sampler, Uniforms, by_roots, drawing_device
from chargen.generation.seeds import sample_seed
from chargen.options import SamplingConfig
from tests.generation.test_loops import naive_penalties

WIDTH = 5 * drawing.BLOCK


def make_sampler(rows: int) -> Sampler:
    return Sampler(rows, 0, torch.device("cpu"), Loops(rows, np.zeros(WIDTH, np.int8)))


def random_logits(rows: int, seed: int, scale: float = 4.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(rows, WIDTH)) * scale).astype(np.float32)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x.astype(np.float64) - x.max())
    return e / e.sum()


def naive_draw(
    logits: np.ndarray, config: SamplingConfig, recent: list[int], u: float
) -> tuple[int, float]:
    """One row by the book; also how near u is to where another piece begins."""
    x = logits.astype(np.float64).copy()
    for id_, nats in naive_penalties(recent, config).items():
        x[id_] -= nats
    for id_ in set(recent[-config.repetition_window :]):
        penalty = config.repetition_penalty
        x[id_] = x[id_] / penalty if x[id_] > 0 else x[id_] * penalty
    if config.temperature == 0:
        return int(x.argmax()), 1.0
    p = softmax(x / config.temperature)
    if config.top_k:
        p[p < np.sort(p)[::-1][min(config.top_k, len(p)) - 1]] = 0
    if config.top_p < 1:
        ordered = np.sort(p)[::-1]
        count = int((np.cumsum(ordered) < config.top_p * p.sum()).sum())
        p[p < ordered[min(count, len(p) - 1)]] = 0
    p[p < config.min_p * p.max()] = 0
    reached = np.cumsum(p / p.sum())
    return int(np.searchsorted(reached, u, side="right")), float(np.abs(reached - u).min())


CONFIGS = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([0.0, 0.3, 0.8, 1.0, 1.7]),
    top_k=st.sampled_from([0, 1, 3, 40, 200, 1000]),
    top_p=st.sampled_from([1.0, 0.99, 0.9, 0.5, 0.01]),
    min_p=st.sampled_from([0.0, 0.0, 0.02, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.3, 0.7]),
    repetition_window=st.sampled_from([1, 3, 64]),
    loop_penalty=st.sampled_from([0.0, 2.0, 100.0]),
    loop_length=st.sampled_from([1, 2]),
    loop_window=st.sampled_from([1, 4, 512]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CONFIGS, min_size=1, max_size=4), st.integers(0, 10**6))
def test_drawing_agrees_with_the_book(configs: list[SamplingConfig], seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = len(configs)
    machine = make_sampler(rows)
    history = rng.integers(1, 4, (7, rows))
    for row, config in enumerate(configs):
        machine.set_row(row, config, history[:2, row].tolist())
    for ids in history[2:]:
        machine.note(ids)
    logits = random_logits(rows, seed)
    logits[:, 0] = -np.inf
    u = rng.random(rows)
    ids = machine.draw(torch.from_numpy(logits.copy()), torch.from_numpy(u)[:, None])
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    mixed = machine.draw_from_mixture(torch.from_numpy(p.copy()), torch.from_numpy(u)[:, None])
    with np.errstate(divide="ignore"):
        logs = np.log(p)
    for row, config in enumerate(configs):
        read = history[:, row].tolist()
        for values, drawn in ((logits, ids), (logs, mixed)):
            want, margin = naive_draw(values[row], config, read, u[row])
            if margin > 1e-5:
                assert drawn[row] == want


def test_a_penalty_may_look_back_on_a_single_piece() -> None:
    config = SamplingConfig(temperature=0, repetition_penalty=1e6, repetition_window=1)
    machine = make_sampler(1)
    machine.set_row(0, config, [10])
    machine.note(np.array([11]))
    logits = torch.full((1, WIDTH), -1.0)
    logits[0, [10, 11]] = torch.tensor([5.0, 7.0])
    assert machine.draw(logits, torch.zeros(1, 1, dtype=torch.float64)) == 10


def test_draw_follows_the_probabilities() -> None:
    p = torch.zeros(1, WIDTH)
    p[0, [3, 70, 71, 319]] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    u = torch.from_numpy(Uniforms(7).next(20_000))[:, None]
    ids = drawing.draw(p.expand(len(u), -1).contiguous(), u)
    counts = torch.bincount(ids, minlength=WIDTH) / len(u)
    assert counts[[3, 70, 71, 319]].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.015)
    assert counts.sum() == counts[[3, 70, 71, 319]].sum()


def test_rows_drawn_one_by_one_are_those_drawn_together() -> None:
    p = torch.from_numpy(np.abs(random_logits(40, 5)) ** 3)
    p[:, ::3] = 0
    u = torch.from_numpy(Uniforms(3).next(40))[:, None]
    u[:2, 0] = torch.tensor([0.0, 1 - 2.0**-52], dtype=torch.float64)
    together = drawing.draw(p, u)
    assert together.tolist() == [int(drawing.draw(p[n : n + 1], u[n : n + 1])) for n in range(40)]
    assert drawing.draw(p[:3], u[:3]).tolist() == together[:3].tolist()


@pytest.mark.parametrize("u", [0.0, 1 - 2.0**-52])
def test_the_ends_of_the_interval_draw_what_is_possible(u: float) -> None:
    for seed in range(50):
        p = torch.from_numpy(np.abs(random_logits(1, seed)))
        p[p < 9] = 0
        p[0, seed] = 1e-30
        id_ = int(drawing.draw(p, torch.tensor([[u]], dtype=torch.float64)))
        assert p[0, id_] > 0


def test_extreme_temperatures_stay_finite() -> None:
    for temperature in (1e-300, 1e-12, 1e12, 1e300):
        machine = make_sampler(1)
        machine.set_row(0, SamplingConfig(temperature=temperature), [])
        logits = torch.from_numpy(random_logits(1, 1))
        logits[0, :9] = -torch.inf
        best = int(logits.argmax())
        id_ = int(machine.draw(logits.clone(), torch.full((1, 1), 0.5, dtype=torch.float64)))
        assert id_ >= 9
        if temperature < 1:
            assert id_ == best


def test_a_row_is_drawn_the_same_in_any_company() -> None:
    configs = [SamplingConfig(top_k=k, top_p=p) for k in (0, 5, 300) for p in (1.0, 0.9, 0.999)]
    logits = torch.from_numpy(random_logits(len(configs), 3))
    u = torch.from_numpy(Uniforms(1).next(len(configs)))[:, None]
    together = make_sampler(len(configs))
    for row, config in enumerate(configs):
        together.set_row(row, config, [])
    ids = together.draw(logits.clone(), u)
    for row, config in enumerate(configs):
        alone = make_sampler(1)
        alone.set_row(0, config, [])
        assert alone.draw(logits[row : row + 1].clone(), u[row : row + 1]) == ids[row]


def test_a_swapped_row_keeps_its_history() -> None:
    config = SamplingConfig(temperature=0, repetition_penalty=1e6, repetition_window=2)
    machine = make_sampler(3)
    machine.set_row(0, SamplingConfig(), [])
    machine.set_row(1, config, [10, 11, 12])
    machine.swap_rows(1, 0)
    logits = torch.full((1, WIDTH), -1.0)
    logits[0, [10, 11, 12]] = torch.tensor([5.0, 7.0, 6.0])
    assert machine.draw(logits, torch.zeros(1, 1, dtype=torch.float64)) == 10


def test_uniforms_are_a_function_of_seed_and_position() -> None:
    whole = Uniforms(5).next(100)
    parts = Uniforms(5)
    assert np.array_equal(whole, np.concatenate([parts.next(n) for n in (1, 9, 64, 26)]))
    assert not np.array_equal(whole, Uniforms(6).next(100))
    assert ((whole >= 0) & (whole < 1)).all()
    # Philox4x64-10 with key (0, 0): the stream must not change with a release of NumPy.
    assert Uniforms(0).next(2).tolist() == [0.011546754286331451, 0.24154919656271812]


def test_sample_seeds_are_stable_small_and_apart() -> None:
    assert sample_seed(0, 1) == 5144410221501090
    keys: list[int | str] = [*range(1000), *map(str, range(1000))]
    seeds = {sample_seed(s, key) for s in (0, 1) for key in keys}
    assert len(seeds) == 4000
    assert all(0 <= seed < 2**53 for seed in seeds)


@pytest.mark.parametrize(("logits", "drawn"), [("cpu", "cpu"), ("cuda", "cuda"), ("mps", "cpu")])
def test_pieces_are_drawn_where_there_is_float64(logits: str, drawn: str) -> None:
    assert drawing_device(torch.device(logits)) == torch.device(drawn)


def test_the_default_temperature_by_roots_is_the_power() -> None:
    p = torch.from_numpy(np.exp(random_logits(40, 6) - 30))
    p[:, ::3] = 0
    want = p.double() ** (1 / SamplingConfig().temperature)
    together, alone = p.clone(), p.clone()
    by_roots(together)
    for row in alone:
        by_roots(row)
    assert torch.allclose(together.double(), want, rtol=1e-6, atol=0)
    assert torch.equal(together, alone)
