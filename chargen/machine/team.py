"""The processes that train one run, as one of them sees them.

A process on its own is a team of one, whose methods leave everything as it is. So nothing that
trains asks how many processes there are; ``chargen.machine.group`` has the team of several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
Saved = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Tensors and values of a checkpoint."""


class Team:
    """A team of one.

    Several methods are *collective*: all processes call them, in the same order.

    Attributes:
        rank: the number of this process.
        size: of all.
    """

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this process decides, writes and shows."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """The rows out of so many that are this process's: equally many, or one more or less."""
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def require(self, device: torch.device) -> None:
        """Raise ConfigError where the processes can't compute on ``device`` together."""

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Collective: whether each flag is true in some process."""
        return flags

    def by_leader(self, work: Callable[[], T]) -> T:
        """Collective: what ``work`` returns in the leading process, the only one that calls it.

        It is sent as JSON.
        """
        return work()

    def spread(self, load: Callable[[], Saved | None]) -> Saved | None:
        """Collective: the checkpoint that ``load`` returns in the leading process."""
        return load()

    def sum_gradients(
        self, parameters: Sequence[nn.Parameter], loss: Tensor, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Collective: replace gradients by their sums over the processes, the same bits in all.

        Args:
            parameters: whose ``grad`` is replaced.
            loss: this process's share of a loss.
            dtype: in which gradients are sent, ``float32`` or ``bfloat16``.

        Returns:
            The sum of the losses.
        """
        del parameters, dtype
        return loss

    def gathered(self, rows: Tensor) -> Tensor:
        """Collective: the rows of all processes, by rank."""
        return rows


ALONE = Team()
