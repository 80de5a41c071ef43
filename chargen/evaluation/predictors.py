"""What a model must offer to be scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from chargen.options import ModelConfig


class Scorer(Protocol):
    """A network that predicts pieces, such as ``CharModel``, which documents the shapes."""

    def score(self, s: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]: ...


class Predictor(Scorer, Protocol):
    """A recurrent model that can be scored, such as ``CharModel``."""

    @property
    def table(self) -> Tensor:
        """The table of characters, on the model's device."""

    def initial_state(self, batch: int) -> Any: ...

    def __call__(self, ids: Tensor, state: Any, *more: Any) -> Any: ...


class Mixer(Scorer, Protocol):
    """A network whose predictions can be mixed with counts."""

    @property
    def config(self) -> ModelConfig:
        """The network's options."""

    def gate(self, s: Tensor) -> Tensor: ...

    def score_mixed(
        self, s: Tensor, targets: Tensor, counted: Tensor, rows_of: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]: ...
