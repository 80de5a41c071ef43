"""``chargen bench generate``."""

from __future__ import annotations

import json

import pytest

from chargen.bench.generate import bench_generate
from chargen.errors import ConfigError
from tests.support import call, the_error


def test_bench_generate_compares_with_plain_pytorch() -> None:
    shape = ("--hidden-size", 8, "--vocab-size", 20, "--rounds", 1, "--slots", 2)
    shown = call("bench", "generate", "--json", *shape)
    assert shown.exit_code == 0, shown.output
    (row,) = json.loads(shown.stdout)["rows"]
    assert row["slots"] == 2
    assert min(row[f"against_{name}"] for name in ("one_hot", "embedding", "products")) > 0


@pytest.mark.parametrize("name", ["generate", "train"])
def test_options_that_can_not_be_are_told(name: str) -> None:
    error = the_error("bench", name, "--threads", -1, "--device", "abacus", status=2)
    assert "--threads is -1, not at least 0 and at most 1024" in error
    assert "--device is 'abacus', not one of auto, cpu, cuda, mps" in error


def test_bench_generate_needs_a_twin_in_pytorch() -> None:
    with pytest.raises(ConfigError, match="no clockwork"):
        bench_generate(cell="clockwork")
