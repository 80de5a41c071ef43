"""Comparison of how gradients vanish in a trained RNN, LSTM and GRU."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chargen import api
from chargen.experiments.outcome import ShowProgress, Table, silent
from chargen.experiments.runs import Course, open_text, train_course
from chargen.inspection.gradient_plot import plot_gradients
from chargen.inspection.gradients import GradientReport, measure_gradients

CELLS = ("rnn", "lstm", "gru")


@dataclass(frozen=True)
class VanishingOutcome:
    """The result of ``compare_vanishing``: a gradient report and a course for each cell."""

    corpus: str
    steps: int
    reports: tuple[GradientReport, ...]
    courses: tuple[Course, ...]

    def tables(self) -> tuple[Table, ...]:
        lags = len(self.reports[0].norms) - 1
        shown = sorted({0, lags, *(2**n for n in range(lags.bit_length()))})
        return (
            Table(
                f"‖∂L_t/∂s_(t−k)‖ after {self.steps:,} steps on {self.corpus}, "
                f"mean over {self.reports[0].positions} positions",
                ("lag k", *(report.run for report in self.reports)),
                tuple((str(k), *(f"{r.norms[k]:.1e}" for r in self.reports)) for k in shown),
            ),
            Table(
                "Networks",
                ("cell", "bits per character", "largest singular value", "spectral radius"),
                tuple(
                    (
                        report.run,
                        f"{course.best:.3f}" if course.best else "none",
                        f"{max(each.singular_values[0] for each in report.spectra):.2f}",
                        f"{max(each.spectral_radius for each in report.spectra):.2f}",
                    )
                    for report, course in zip(self.reports, self.courses, strict=True)
                ),
            ),
        )

    def findings(self) -> tuple[str, str]:
        lag = len(self.reports[0].norms) - 1
        kept = {report.run: report.norms[lag] / report.norms[0] for report in self.reports}
        most, least = max(kept, key=kept.__getitem__), min(kept, key=kept.__getitem__)
        ratio = kept[most] / kept[least] if kept[least] else float("inf")
        each = ", ".join(f"{share:.1e} in {run}" for run, share in kept.items())
        return (
            f"Of the gradient's norm at lag 0, this share arrives at lag {lag}: {each}.",
            f"It reaches farthest back in {most}, with {ratio:.2g} times the share of {least}.",
        )

    def draw(self, out: Path) -> None:
        plot_gradients(self.reports, out)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_vanishing(
    corpus: api.Source | None = None,
    *,
    steps: int = 300,
    lags: int = 64,
    hidden_size: int = 192,
    seed: int = 0,
    threads: int = 0,
    on_progress: ShowProgress = silent,
) -> VanishingOutcome:
    """Train the cells with equal settings, and measure how a loss depends on earlier states.

    Args:
        corpus: a text or a prepared corpus; None is the shipped text ``shipan.txt``.
        steps: training steps.
        lags: the largest lag, in steps.
        hidden_size: units of the single layer.
        seed: seed of initial weights and dropout.
        threads: CPU threads; 0: torch's choice.
        on_progress: called with the progress.
    """
    prepared = open_text(corpus)
    courses, reports = [], []
    with tempfile.TemporaryDirectory() as folder:
        for n, cell in enumerate(CELLS):

            def on_share(share: float, cell: str = cell, before: int = n) -> None:
                on_progress(cell, before + share, len(CELLS))

            courses.append(
                train_course(
                    prepared,
                    Path(folder),
                    cell,
                    on_share,
                    cell=cell,
                    hidden_size=hidden_size,
                    num_layers=1,
                    max_steps=steps,
                    seed=seed,
                    threads=threads,
                )
            )
            reports.append(measure_gradients(Path(folder, cell), lags))
    return VanishingOutcome(prepared.manifest.name, steps, tuple(reports), tuple(courses))
