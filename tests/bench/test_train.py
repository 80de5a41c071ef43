from __future__ import annotations

import pytest

from chargen.bench import train
from chargen.bench.train import (
    NETWORKS,
    bench_train,
    flops_per_character,
    network_config,
    step_memory,
)
from chargen.machine import devices
from chargen.network.model import CharModel


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("vocab_size", [60, 700])
def test_every_number_of_a_matrix_is_multiplied_once_forwards_and_twice_backwards(
    network: str, vocab_size: int
) -> None:
    config = network_config(network, 8, vocab_size)
    sizes = {n: p.numel() for n, p in CharModel(config).named_parameters() if p.ndim == 2}
    looked_up = 0 if config.tie_weights else sizes["table"]
    assert flops_per_character(config) == 6 * (sum(sizes.values()) - looked_up)


@pytest.mark.parametrize(
    ("speedup", "formats"), [(1.0, ["float32"]), (7.0, ["float32", "bfloat16"])]
)
def test_rows_are_rates_of_the_same_steps(
    speedup: float, formats: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "bfloat16_speedup", lambda: speedup)
    monkeypatch.setattr(train, "SIZES", (8,))
    monkeypatch.setattr(train, "step_memory", lambda: {"chargen": 1, "plain": 4})
    report = bench_train(vocab_size=600, batch_size=2, seq_length=3, rounds=1, device="cpu")
    assert [row.network for row in report.rows] == list(NETWORKS) * len(formats)
    assert [row.precision for row in report.rows[:: len(NETWORKS)]] == formats
    assert report.memory_ratio == 0.25
    for row in report.rows:
        work = flops_per_character(network_config(row.network, 8, 600))
        assert row.gflops == pytest.approx(row.chars_per_second * work / 1e9)
        assert row.of_products == pytest.approx(row.gflops / report.product_gflops[row.precision])


def test_a_step_needs_less_than_half_of_the_plain_loops_memory() -> None:
    memory = step_memory((128, 3000, 32, 64))
    assert memory is not None
    assert 0 < memory["chargen"] < 0.5 * memory["plain"]
