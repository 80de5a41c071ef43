from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chargen.errors import CheckpointError
from chargen.options import CELLS
from chargen.runs import checkpoints, expected_tensors
from chargen.runs.config import RunConfig
from chargen.runs.folder import RunFolder
from chargen.runs.tensors import Kind
from chargen.training.optimizer import OPTIMIZERS
from tests.runs.damage import change_json, rewrite, the_error
from tests.support import last_state, train_tiny


def test_the_newest_whole_checkpoint_counts(run: Path) -> None:
    folder = RunFolder(run)
    before = last_state(run)
    shutil.copytree(run / "last" / str(folder.last_step()), run / "last" / "9999")
    state = run / "last" / "9999" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-10])
    assert last_state(run) == before


@pytest.mark.parametrize("content", [b"{}", b'{"step": "7"}', b"[]", b"null"])
def test_values_without_a_step_are_told(content: bytes, run: Path) -> None:
    (run / "model.safetensors").unlink()
    (values,) = run.glob("last/*/state.json")
    values.write_bytes(content)
    message = the_error(run).message
    assert str(values) in message
    assert RunFolder(run).verify() == [message]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("rest", [{}, {"embedding_size": 0, "bias": False}])
def test_what_is_wanted_is_what_training_saves(
    optimizer: str, cell: str, rest: dict[str, Any], corpus: Path, tmp_path: Path
) -> None:
    options = {"optimizer": optimizer, "cell": cell, **rest, "lr": 1e-3, "device": "cpu"}
    run = train_tiny(corpus, tmp_path, max_steps=1, **options).path
    config = RunFolder(run).read_config()
    network = expected_tensors.outline(config.model, run)
    saved = RunFolder(run).load_last()
    assert saved is not None
    kinds = {name: Kind.of(tensor) for name, tensor in saved[0].items()}
    kinds["generator"] = Kind(torch.uint8, None)
    assert expected_tensors.of_checkpoint(network, config.training, config.recipe, 1, run) == kinds


Change = Callable[[dict[str, Tensor]], object]
MOMENT = "optimizer.table.exp_avg"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (MOMENT, lambda t: t.update({MOMENT: t[MOMENT][:3].clone()})),
        (MOMENT, lambda t: t.update({MOMENT: torch.zeros(10**6)})),
        (MOMENT, lambda t: t.update({MOMENT: t[MOMENT].T.contiguous()})),
        (MOMENT, lambda t: t.update({MOMENT: t[MOMENT].double()})),
        (MOMENT, lambda t: t[MOMENT].fill_(float("nan"))),
        (MOMENT, lambda t: t.pop(MOMENT)),
        ("optimizer.table.step", lambda t: t.update({"optimizer.table.step": torch.zeros(2)})),
        ("generator", lambda t: t.update(generator=torch.zeros(3))),
        ("generator", lambda t: t.update(generator=torch.zeros(1 << 20, dtype=torch.uint8))),
        ("generator", lambda t: t.pop("generator")),
        ("carried.0.1", lambda t: t.update({"carried.0.1": torch.zeros(4, 31)})),
        ("carried.0.2", lambda t: t.update({"carried.0.2": torch.zeros(4, 32)})),
        ("model.V", lambda t: t["model.V"].fill_(float("inf"))),
    ],
)
def test_tensors_that_do_not_fit_are_named(name: str, change: Change, run: Path) -> None:
    (path,) = run.glob("last/*/state.safetensors")
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=rf"state\.safetensors .*{name}"):
        RunFolder(run).load_last()


@pytest.mark.parametrize(
    "change",
    [
        {"best_bits": 0.1},
        {"lr_scale": 0.5},
        {"lr_scale": 0},
        {"step": 39},
        {"step": -1},
        {"seconds": "soon"},
        {"rollbacks": 1.5},
        {"evaluated_step": -2},
        {"sha256": "0"},
        {"other": 1},
    ],
    ids=str,
)
def test_changed_values_are_told(change: dict[str, Any], run: Path) -> None:
    (path,) = run.glob("last/*/state.json")
    change_json(path, lambda values: values.update(change))
    with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
        RunFolder(run).load_last()


def test_values_of_other_tensors_are_told(run: Path) -> None:
    (path,) = run.glob("last/*/state.safetensors")
    rewrite(path, lambda tensors: tensors["model.V"].add_(1))
    with pytest.raises(CheckpointError, match=r"state\.json is damaged: its digest differs"):
        RunFolder(run).load_last()


@pytest.mark.parametrize("name", ["²", "07", "-1", "1e3", "9" * 200, "x"])
def test_a_folder_that_is_no_step_is_ignored(name: str, run: Path) -> None:
    (run / "last" / name).mkdir()
    assert RunFolder(run).last_step() == 40
    assert RunFolder(run).verify() == []


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_no_damage(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(run)
    saved = folder.load_last()
    assert saved is not None
    read, left = checkpoints._read, [44, 43, 42, 41]

    def replaced(path: Path, step: int, config: RunConfig) -> Any:
        if left:
            folder.save_last(left.pop(), *saved)
        return read(path, step, config)

    monkeypatch.setattr(checkpoints, "_read", replaced)
    found = folder.load_last()
    assert found is not None
    assert found[1]["step"] == 44
