"""What an experiment finds: a table, and curves to draw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen.inspection.plots import new_figure


@dataclass(frozen=True)
class Curve:
    """A line in a picture: y over x."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """Curves that share axes."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    logarithmic: bool = False


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        title: what was asked.
        header: names of the table's columns.
        rows: of the table.
        panels: what to draw.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]
    panels: tuple[Panel, ...]

    def to_dict(self) -> dict[str, Any]:
        """The table, a dictionary a row."""
        return {
            "title": self.title,
            "rows": [dict(zip(self.header, row, strict=True)) for row in self.rows],
        }

    def draw(self, out: Path) -> None:
        """A PNG of all panels, one below the other.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        figure = new_figure(9, 3.2 * len(self.panels))
        axes_of = figure.subplots(len(self.panels), 1, squeeze=False)[:, 0]
        for panel, axes in zip(self.panels, axes_of, strict=True):
            for curve in panel.curves:
                axes.plot(curve.x, curve.y, linewidth=1.2, label=curve.name)
            axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
            axes.set_yscale("log" if panel.logarithmic else "linear")
            axes.grid(alpha=0.3)
            axes.legend(fontsize="small")
        figure.savefig(out, dpi=150)
