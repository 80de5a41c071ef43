"""What ``chargen eval`` reports of a classifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chargen.cli.embed import reading_of

if TYPE_CHECKING:
    from chargen.evaluation.label_report import LabelReport
    from chargen.generation.generator import Generator
    from chargen.terminal.console import Terminal

_MOST_COLUMNS = 12


def evaluate_labels(
    generator: Generator,
    file: Path,
    out: Path | None,
    terminal: Terminal,
    *,
    as_json: bool,
    **reading: Any,
) -> None:
    """Print the figures of a classifier on labelled texts, and draw them if ``out`` is given."""
    from chargen.corpus.judged import judged_texts
    from chargen.inspection.label_plot import plot_confusion
    from chargen.inspection.plots import check_picture

    if out is not None:
        check_picture(out)
    report = generator.report_labels(judged_texts(file, reading_of(generator, **reading)))
    if as_json:
        values = {"checkpoint": str(generator.path), "file": str(file), **report.to_dict()}
        typer.echo(json.dumps(values, ensure_ascii=False))
    else:
        _show(f"{generator.path} on {file}", report, terminal)
    if out is not None:
        plot_confusion(report, out)
        terminal.say(f"Drawn: {out}")


def _show(title: str, report: LabelReport, terminal: Terminal) -> None:
    rows = [
        ("accuracy", f"{report.accuracy:.2%}"),
        ("macro-F1", f"{report.macro_f1:.4f}"),
        ("bits per label", f"{report.bits_per_label:.4f}"),
        ("texts", f"{report.texts:,} with a known {report.key}, {report.unknown:,} others"),
    ]
    terminal.table(title, rows)
    terminal.grid(
        "",
        (report.key, "texts", "precision", "recall", "F1", "taken for"),
        [
            (
                each.label,
                f"{each.texts:,}",
                f"{each.precision:.1%}",
                f"{each.recall:.1%}",
                f"{each.f1:.3f}",
                each.taken_for or "–",
            )
            for each in report.figures
        ],
    )
    names = [each.label for each in report.figures]
    if len(names) > _MOST_COLUMNS:
        terminal.note("The whole confusion matrix: --json, or --out for a picture.")
        return
    places = [report.names.index(name) for name in names]
    terminal.grid(
        "Texts by true label (row) and told label (column)",
        ("", *names),
        [
            (name, *(f"{report.confusion[place, other]:,}" for other in places))
            for name, place in zip(names, places, strict=True)
        ],
    )
