"""``chargen novelty``: measure how much generated texts copy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.flags import Json
from chargen.options import CorpusConfig

if TYPE_CHECKING:
    from chargen.evaluation.novelty import Novelty
    from chargen.terminal.console import Terminal

_MOST_SHOWN = 10


@command(only(CorpusConfig, "encoding", "errors"))
def novelty(
    texts: Annotated[
        Path,
        typer.Argument(
            help="Output of batch, or plain text with --- between texts.", show_default=False
        ),
    ],
    corpus: Annotated[
        Path, typer.Argument(help="The text that the model was trained on.", show_default=False)
    ],
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Measure how much of generated texts is copied from a corpus or repeated between them."""
    from chargen import api

    report = api.novelty(texts, corpus, **options)
    if as_json:
        typer.echo(json.dumps(asdict(report), ensure_ascii=False))
    else:
        _show(report, terminal)


def _show(report: Novelty, terminal: Terminal) -> None:
    from chargen.terminal.words import visible

    rows = [
        ("texts", f"{report.texts:,}, {report.characters:,} characters"),
        ("corpus", f"{report.corpus_characters:,} characters"),
    ]
    for n, share in report.copied_ngrams.items():
        rows.append((f"runs of {n} copied", "–" if share is None else f"{share:.2%}"))
    lengths = sorted(copied.characters for copied in report.longest)
    rows += [
        ("longest copied run", f"median {lengths[len(lengths) // 2]}, at most {lengths[-1]}"),
        ("exact duplicates", f"{report.duplicates:,}"),
        ("near-duplicates", f"{len(report.alike):,} pairs"),
    ]
    terminal.table("novelty", rows)
    longest = sorted(report.longest, key=lambda copied: -copied.characters)[:_MOST_SHOWN]
    terminal.grid(
        "longest copied runs, without white space at their ends",
        ("text", "characters", "of", "corpus line", "run"),
        [
            (
                str(copied.id),
                f"{copied.characters:,}",
                f"{copied.of:,}",
                "–" if copied.line is None else f"{copied.line:,}",
                visible(copied.text.replace("\n", "↵")),
            )
            for copied in longest
        ],
    )
