"""What every experiment returns: tables to print, a picture to draw, figures for scripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ShowProgress = Callable[[str, float, float], None]
"""Called with what is being done, how much of the whole experiment is done, and how much it is."""


@dataclass(frozen=True)
class Table:
    """A table as people read it; every row has a string for each name in ``header``."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Outcome(Protocol):
    """What an experiment found."""

    def tables(self) -> tuple[Table, ...]:
        """The figures that matter."""
        ...

    def draw(self, out: Path) -> None:
        """Write a PNG.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Everything, curves included, as values that JSON has."""
        ...


def silent(_phase: str, _done: float, _total: float) -> None:
    """Show no progress."""
