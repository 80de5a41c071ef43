"""A run folder as the processes see it that train a run but don't write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from chargen.network.base import Model
from chargen.ngrams import KneserNey
from chargen.runs.config import RunConfig
from chargen.runs.folder import RunFolder


class FollowedFolder(RunFolder):
    """A folder that another process writes; here nothing is written, nor need it be there."""

    def write_config(self, config: RunConfig) -> None: ...

    def write_ngram(self, ngram: KneserNey | None) -> None: ...

    def save_best(self, model: Model, step: int, bits_per_char: float | None) -> None: ...

    def save_last(
        self, step: int, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
    ) -> Path:
        del tensors, values
        return self.path / str(step)

    def change_last(self, step: int, values: Mapping[str, Any]) -> None: ...

    def last_step(self) -> int:
        return -1
