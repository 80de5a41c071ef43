"""What the tests of damaged runs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from chargen.errors import CheckpointError
from chargen.runs.folder import RunFolder
from chargen.runs.tensors import write_tensors


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a JSON file says, of a config without the digest that would tell."""
    values = json.loads(path.read_bytes())
    if path.name == "config.json":
        values.pop("sha256", None)
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def the_error(run: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        RunFolder(run).load_model()
    assert "\n" not in caught.value.message
    assert caught.value.remedy
    assert "\n" not in caught.value.remedy
    return caught.value


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    write_tensors(path, tensors, step=1)
