"""``chargen prepare``: turn texts into a prepared corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command
from chargen.cli.completion import texts
from chargen.cli.flags import Json, Src, Tgt, sides_as_files
from chargen.cli.naming import in_flags
from chargen.corpus.remarks import SHOWN_FILES, remarks_on_sizes
from chargen.errors import ConfigError
from chargen.options import CorpusConfig, WorkersConfig
from chargen.terminal.words import visible

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.corpus.progress import PrepareProgress
    from chargen.corpus.record_description import RecordsDescription
    from chargen.inspection.corpora import CorpusSummary
    from chargen.terminal.console import Terminal

_LABELS_SHOWN = 12


@command(CorpusConfig, WorkersConfig)
def prepare(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Text files, files of records, folders or names of shipped texts.",
            show_default=False,
            autocompletion=texts,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write. \\[default: corpora/NAME-KEY]"),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Prepare again, replacing a corpus of other texts or settings."
        ),
    ] = False,
    src: Src = None,
    tgt: Tgt = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Turn texts or records into a prepared corpus: encoded as numbers, split and verified."""
    from chargen import api
    from chargen.terminal.plain import PHASES

    named, options = sides_as_files(files, src, tgt, options)
    if not named:
        raise ConfigError("No text was given.", "Name one or more text files or folders.")
    with terminal.progress("preparing", "bytes") as show:

        def on_progress(progress: PrepareProgress) -> None:
            show(PHASES[progress.phase], progress.done, progress.total)

        corpus = api.prepare(named, out, on_progress=on_progress, force=force, **options)
    if as_json:
        report = {"path": str(corpus.path), **corpus.manifest.to_dict()}
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        terminal.table(str(corpus.path), corpus_rows(corpus))


def corpus_rows(corpus: PreparedCorpus | CorpusSummary) -> list[tuple[str, str]]:
    """Describe a prepared corpus as rows of name and value."""
    manifest = corpus.manifest
    words = manifest.vocabulary
    kept = manifest.config.vocab_size
    rows = [
        (
            "source",
            f"{source.name} ({source.encoding}: {source.encoding_note}; "
            f"{source.characters:,} characters)",
        )
        for source in manifest.sources[:SHOWN_FILES]
    ]
    if (more := len(manifest.sources) - SHOWN_FILES) > 0:
        rows.append(("", f"and {more:,} more"))
    rows += _record_rows(manifest.records) if manifest.records else []
    rows += [
        ("characters", f"{manifest.characters:,}"),
        ("distinct characters", f"{manifest.distinct:,}"),
        (f"coverage of {kept:,}", f"{manifest.coverage:.3%}"),
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
        rows.append(("line ends converted", f"{manifest.newlines_converted:,}"))
    if manifest.joined:
        rows.append(("wrapped lines joined", f"{manifest.joined:,} (--unwrap no keeps them)"))
    if manifest.replacements:
        rows.append(("bytes replaced", f"{manifest.replacements:,}"))
    warnings = [*manifest.warnings, *remarks_on_sizes(manifest)]
    return rows + [("warning", in_flags(warning)) for warning in warnings]


def _record_rows(records: RecordsDescription) -> list[tuple[str, str]]:
    kinds = {"lines": "lines", "labels": "texts with labels", "pairs": "pairs"}
    rows = [
        (
            "records",
            f"{records.count:,} {kinds[records.kind]}: {records.train:,} to learn from, "
            f"{records.val:,} for validation; the longest text has {records.longest - 1:,} pieces",
        )
    ]
    for key, values in zip(records.keys, records.values, strict=True):
        shown = " ".join(f"{visible(value)}×{n:,}" for value, n in values[:_LABELS_SHOWN])
        more = " …" if len(values) > _LABELS_SHOWN else ""
        rows.append((f"label {visible(key)}", f"{len(values):,} values: {shown}{more}"))
    return rows


def _left_out(left_out: tuple[tuple[str, int], ...]) -> str:
    if not left_out:
        return "none"
    return "most frequent: " + " ".join(f"{visible(c)}×{n}" for c, n in left_out[:12])


def _split(characters: int, pieces: int) -> str:
    return f"{characters:,} characters, {pieces:,} pieces"
