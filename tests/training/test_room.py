from __future__ import annotations

from pathlib import Path

import pytest
import torch

from chargen.errors import ConfigError
from chargen.machine.memory import usable_bytes
from chargen.options import ModelConfig, Recipe, TrainConfig
from chargen.runs.folder import RunFolder
from chargen.training import room
from tests.support import train_tiny

CPU = torch.device("cpu")


def test_the_figure_is_that_of_the_parameters_and_the_optimiser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = ModelConfig(100, cell="rnn", hidden_size=100, embedding_size=100, bias=False)
    # Table, U, W and V, each 100 × 100; AdamW's two moments; three copies while it is saved.
    needed = 4 * 100**2 * 4 * 3 * 3
    monkeypatch.setattr(room, "usable_bytes", lambda: needed)
    room.require_room(model, TrainConfig(), Recipe(), CPU)
    monkeypatch.setattr(room, "usable_bytes", lambda: needed - 1)
    with pytest.raises(ConfigError, match=r"40,000 parameters.* 1\.44 MB of memory, and 1\.44 MB"):
        room.require_room(model, TrainConfig(), Recipe(), CPU)
    room.require_room(model, TrainConfig(optimizer="sgd"), Recipe(), CPU)


def test_weights_that_descend_by_their_gradient_have_no_moments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = {"cell": "rnn", "hidden_size": 10, "embedding_size": 10, "bias": False, "ngram": "1"}
    rows = {"ngram_rows": 1000, "ngram_weights": 1000, "labels": 5, "records": True}
    model = ModelConfig(100, task="classify", **shape, **rows)
    W = 1001 * 5
    others = 100 * 10 + 2 * 10 * 10 + 5 * 20 + 3  # table, U and W of the cell, Y; κ, a and λ
    for recipe, moments in (
        (Recipe(), 2 * others),
        (Recipe(lr_of_ngram_weights=0.0), 2 * others + 2 * W),
    ):
        needed = 4 * 3 * (W + others + moments)
        monkeypatch.setattr(room, "usable_bytes", lambda needed=needed: needed)
        room.require_room(model, TrainConfig(), recipe, CPU)
        monkeypatch.setattr(room, "usable_bytes", lambda needed=needed: needed - 1)
        with pytest.raises(ConfigError, match=f"{W + others:,} parameters"):
            room.require_room(model, TrainConfig(), recipe, CPU)


def test_this_machine_has_room_for_the_largest_preset() -> None:
    usable = usable_bytes()
    assert usable is None or usable > 1 << 20
    room.require_room(
        ModelConfig(3000, hidden_size=768, num_layers=2), TrainConfig(), Recipe(), CPU
    )


def test_a_run_appears_with_its_first_checkpoint(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chargen.training import session

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session.Session, "__init__", fail)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(corpus, tmp_path)
    folder = RunFolder(tmp_path / "run")
    assert folder.last_step() == 0
    assert folder.verify() == []
