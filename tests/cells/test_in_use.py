"""Every cell through a whole run: trained, saved, resumed, generating."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import chargen
from chargen.options import CELLS
from chargen.runs.folder import RunFolder
from tests.support import last_state, train_tiny

each_network = pytest.mark.parametrize(
    "options",
    [
        *({"cell": name} for name in CELLS),
        {"cell": "jordan", "teacher_forcing": True},
        {"cell": "clockwork,jordan", "num_layers": 2},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)


@each_network
def test_resume_matches_an_uninterrupted_run(
    corpus: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    settings = {"dropout": 0.2, **options}
    whole = train_tiny(corpus, tmp_path / "whole", max_steps=6, **settings)
    half = train_tiny(corpus, tmp_path / "half", max_steps=3, **settings)
    train_tiny(corpus, tmp_path / "half", max_steps=6, resume=True)
    after_whole, after_half = last_state(whole.path), last_state(half.path)
    assert after_half.keys() == after_whole.keys()
    changed = [key for key in after_whole if after_half[key] != after_whole[key]]
    assert [key for key in changed if key not in ("best_bits", "evaluations_since_best")] == []


@each_network
def test_a_saved_network_reads_and_writes_as_before(
    corpus: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    path = train_tiny(corpus, tmp_path, max_steps=2, **options).path
    first, second = RunFolder(path).load_model(), RunFolder(path).load_model()
    ids = torch.arange(3, 11).view(4, 2)
    outputs, _ = first.model(ids, first.model.initial_state(2))
    again, _ = second.model(ids, second.model.initial_state(2))
    assert torch.equal(outputs, again)
    generator = chargen.load(path)
    together = generator.results("春", num_samples=5, length=20, seed=3)
    for each in together:
        assert generator.generate("春", length=20, seed=each.seed) == [each.text]
    assert len({each.text for each in together}) > 1
