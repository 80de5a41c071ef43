"""``chargen embed``: texts as vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, each_of, only, unescape
from chargen.cli.flags import NamedRun, RunsDir
from chargen.cli.sample import say_conversion
from chargen.errors import ConfigError
from chargen.options import CorpusConfig, EmbedConfig, TrainConfig
from chargen.terminal.words import counted

if TYPE_CHECKING:
    from chargen.evaluation.vector_files import Found
    from chargen.generation.generator import Generator
    from chargen.terminal.console import Terminal


@command(
    each_of(EmbedConfig),
    only(CorpusConfig, "encoding", "errors", "text_key"),
    only(TrainConfig, "device"),
)
def embed(
    run: NamedRun,
    file: Annotated[
        str | None,
        typer.Argument(
            help="A file of records, or of texts, a line each; - is standard input.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            "-c",
            help="A text in place of a file; on standard output its vector is a JSON array.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A .npy file of the vectors, a row each, or a file of JSON lines; - is standard "
            "output, as JSON lines.",
        ),
    ] = Path("-"),
    runs_dir: RunsDir = None,
    *,
    options: dict[str, Any],
    terminal: Terminal,
) -> None:
    """Turn each text into a vector: what a run of any task knows when it has read it.

    Records are JSON lines, CSV or TSV with a header, or fastText's lines; of any other file each
    line is a text, a blank one too. A vector doesn't depend on the other texts.
    """
    from chargen import api
    from chargen.corpus.judged import judged_texts
    from chargen.corpus.records import Record
    from chargen.evaluation.vector_files import lines_of, write_vectors

    if (file is None) == (text is None):
        raise ConfigError(
            "There is no text." if file is None else "`file` and `text` contradict each other.",
            "Give a file of texts, or one with `text`.",
        )
    reading = {n: options.pop(n) for n in ("encoding", "errors", "text_key") if n in options}
    model = api.load(run, runs_dir=runs_dir, device=options.pop("device", "auto"))
    say_conversion(terminal, model, "The text")
    if file is not None:
        records = judged_texts(file, reading_of(model, **reading))
    else:
        records = iter([Record(model.as_learnt(unescape(text or "")), {}, None, "the text", 1)])
    found = model.embed_records(records, **options)
    if str(out) != "-":
        count, width = write_vectors(found, out)
        terminal.say(f"{counted(count, 'vector')} of {width:,} numbers: {out}")
        return
    for line in lines_of(found) if file is not None else _bare(found):
        typer.echo(line)


def _bare(found: Found) -> Iterator[str]:
    """Yield each vector as a JSON array."""
    for _, vectors in found:
        yield from map(json.dumps, vectors.tolist())


def reading_of(model: Generator, **given: Any) -> CorpusConfig:
    """How texts are read for a run: as its own were, except for what is given."""
    corpus = model.loaded.config.corpus
    kept = {
        "convert": corpus.settings.convert,
        "text_key": corpus.settings.text_key,
        "label_key": tuple(corpus.labels),
    }
    return CorpusConfig.from_dict({**kept, "records": "labels", **given})
