"""How commands show what a run that answers lines is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from chargen.generation.generator import Generator
    from chargen.generation.judging import Judgement
    from chargen.terminal.console import Terminal

_EXTRAS = {"sacrebleu": "answers", "pypinyin": "poetry"}


def show_judgement(
    generator: Generator, file: Path, found: Judgement, terminal: Terminal, *, as_json: bool
) -> None:
    """Print a report on answers as a table, or as JSON."""
    if as_json:
        report = {"checkpoint": str(generator.path), "file": str(file), **found.to_dict()}
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    score = found.score
    rows = [
        ("bits per character of the answers, ends counted", f"{score.bits_per_char:.4f}"),
        ("accuracy", f"{score.accuracy:.2%}"),
        ("out of vocabulary", f"{score.oov_rate:.3%}"),
        ("characters", f"{score.characters:,} ({score.pieces:,} pieces)"),
        ("lines answered", f"{found.answered:,}"),
    ]
    if found.bleu is not None and found.chrf is not None:
        rows.append(("BLEU of characters, chrF", f"{found.bleu:.2f}, {found.chrf:.2f}"))
    if found.kept is not None and found.kept_by_real is not None:
        rows += [
            (f"rule kept: {rule}", f"{share:.1%} (real answers: {found.kept_by_real[rule]:.1%})")
            for rule, share in found.kept.items()
        ]
    terminal.table(f"{generator.path} on {file}", rows)
    for package in found.missing:
        terminal.say(
            f"{package} is not installed, so some figures are missing; the extra "
            f"{_EXTRAS[package]} has it."
        )
