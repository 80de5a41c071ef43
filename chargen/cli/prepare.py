"""``chargen prepare``: texts to a prepared corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli import options as opt

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus, Progress
    from chargen.inspection.corpora import CorpusSummary


def prepare(
    files: Annotated[
        list[Path], typer.Argument(help="Text files, and folders of them.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder to write. \\[default: corpora/<stem of the first>]"
        ),
    ] = None,
    vocab_size: opt.VocabSize = None,
    oov: opt.Oov = None,
    encoding: opt.Encoding = None,
    errors: opt.Errors = None,
    convert: opt.Convert = None,
    val_frac: opt.ValFrac = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Turn texts into a corpus to train on: characters to numbers, split and verified."""
    from chargen import api
    from chargen.cli.terminal.console import Terminal

    config = opt.corpus_config(vocab_size, oov, encoding, errors, convert, val_frac)
    terminal = Terminal(quiet=quiet)
    with terminal.progress("preparing", "bytes") as show:

        def on_progress(progress: Progress) -> None:
            show(progress.phase, progress.done, progress.total)

        corpus = api.prepare(list(files), out, config, on_progress)
    if as_json:
        report = {"path": str(corpus.path), **corpus.manifest.to_dict()}
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        terminal.table(str(corpus.path), corpus_rows(corpus))


def corpus_rows(corpus: PreparedCorpus | CorpusSummary) -> list[tuple[str, str]]:
    """What a prepared corpus is, as names and values."""
    manifest = corpus.manifest
    words = manifest.vocabulary
    kept = manifest.config.vocab_size
    rows = [
        (
            "source",
            f"{source.path} ({source.encoding}: {source.encoding_note}; "
            f"{source.characters:,} characters)",
        )
        for source in manifest.sources
    ]
    rows += [
        ("characters", f"{manifest.characters:,}"),
        ("distinct", f"{manifest.distinct:,}"),
        (f"coverage at {kept:,}", f"{manifest.coverage:.3%}"),
        ("left out", f"{manifest.left_out_distinct:,} distinct, {_left_out(manifest.left_out)}"),
        (
            "out of vocabulary",
            f"{manifest.oov_characters:,} characters ({manifest.oov_rate:.3%}), kept as "
            + ("UTF-8 bytes" if manifest.oov == "bytes" else "<unk>"),
        ),
        (
            "|V|",
            f"{words.size:,} = {words.characters:,} characters + {words.byte_pieces} bytes "
            f"+ {words.reserved} reserved",
        ),
        ("training split", _split(manifest.train.characters, manifest.train.pieces)),
        ("validation split", _split(manifest.val.characters, manifest.val.pieces)),
        ("stored as", manifest.dtype),
        ("round trip", manifest.round_trip),
    ]
    if manifest.newlines_converted:
        rows.append(("line ends made LF", f"{manifest.newlines_converted:,}"))
    if manifest.replacements:
        rows.append(("bytes replaced", f"{manifest.replacements:,}"))
    return rows + [("warning", warning) for warning in manifest.warnings]


def _left_out(left_out: tuple[tuple[str, int], ...]) -> str:
    if not left_out:
        return "none"
    from chargen.cli.terminal.console import visible

    return "most frequent: " + " ".join(f"{visible(c)}×{n}" for c, n in left_out[:12])


def _split(characters: int, pieces: int) -> str:
    return f"{characters:,} characters, {pieces:,} pieces"
