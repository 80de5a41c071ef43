"""The interface of all results of experiments: tables, a plot, JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ShowProgress = Callable[[str, float, float], None]
"""Called with the current phase, the work done, and the total work."""


@dataclass(frozen=True)
class Table:
    """A table to print; each row has a string for each name in ``header``."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Outcome(Protocol):
    """The result of an experiment."""

    def tables(self) -> tuple[Table, ...]:
        """Return the main figures, as tables."""
        ...

    def findings(self) -> tuple[str, str]:
        """Return two sentences about what the figures show, made from the figures."""
        ...

    def draw(self, out: Path) -> None:
        """Draw the plot as a PNG, SVG or PDF.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, curves included, as JSON values."""
        ...


def silent(_phase: str, _done: float, _total: float) -> None:
    """Ignore progress."""
