"""``chargen eval``: how well a model predicts a text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli import options as opt

if TYPE_CHECKING:
    from chargen.evaluation.scores import CharScores


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help="A run folder, or its name in checkpoints/.", show_default=False)
    ],
    file: Annotated[Path, typer.Argument(help="A text.", show_default=False)],
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Segments side by side; speed only.")
    ] = 32,
    per_char: Annotated[
        Path | None,
        typer.Option(
            "--per-char",
            help="Write each character with its bits, as JSON lines; - is standard output, with "
            "nothing else on it.",
        ),
    ] = None,
    encoding: opt.Encoding = None,
    errors: opt.Errors = None,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Measure how well a model predicts a text, in bits per character.

    The text is cut into segments of 2,048 characters, each warmed up by the 512 before it. What
    the vocabulary lacks is charged for, so that figures of different vocabularies compare.
    """
    from chargen import api
    from chargen.cli.terminal.console import Terminal

    config = opt.corpus_config(None, None, encoding, errors, None, None)
    generator = api.load(checkpoint, device=device)
    text = api.read_text(file, config)
    scores = generator.score_characters(text, batch_size)
    score = scores.total()
    if per_char:
        _write_per_char(per_char, text, scores)
    if str(per_char) == "-":
        return
    if as_json:
        report = {"checkpoint": str(generator.path), "file": str(file), **score.to_dict()}
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    Terminal(quiet=quiet).table(
        f"{generator.path} on {file}",
        [
            ("bits per character", f"{score.bits_per_char:.4f}"),
            ("nats per character", f"{score.nats_per_char:.4f}"),
            ("perplexity", f"{score.perplexity:.2f}"),
            ("accuracy", f"{score.accuracy:.2%}"),
            ("out of vocabulary", f"{score.oov_rate:.3%}"),
            ("characters", f"{score.characters:,} ({score.pieces:,} pieces)"),
        ],
    )


def _write_per_char(path: Path, text: str, scores: CharScores) -> None:
    from chargen.evaluation.scores import NATS_TO_BITS
    from chargen.files import write_bytes

    lines = (
        json.dumps({"char": character, "bits": nats * NATS_TO_BITS}, ensure_ascii=False) + "\n"
        for character, nats in zip(text, scores.nats.tolist(), strict=True)
    )
    if str(path) == "-":
        sys.stdout.writelines(lines)
    else:
        write_bytes(path, "".join(lines).encode("utf-8"))
