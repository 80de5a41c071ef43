"""``chargen inspect``: show and verify a run folder or a prepared corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli.command import command
from chargen.cli.completion import runs_or_files
from chargen.cli.flags import Json, NoNgram, RunsDir
from chargen.errors import ChargenError

if TYPE_CHECKING:
    from chargen.inspection.summary import RunSummary
    from chargen.terminal.console import Terminal


@command()
def inspect(
    path: Annotated[
        str | None,
        typer.Argument(
            help="A run folder, a prepared corpus, or the name of a run; by default the newest "
            "run.",
            autocompletion=runs_or_files,
        ),
    ] = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Show what a run or a prepared corpus holds, and verify its files."""
    from chargen import api
    from chargen.cli.prepare import corpus_rows
    from chargen.inspection.corpora import CorpusSummary

    summary = api.inspect(path, runs_dir=runs_dir, ngram=not no_ngram)
    if as_json:
        typer.echo(json.dumps(summary.to_dict(), ensure_ascii=False))
    else:
        rows = corpus_rows(summary) if isinstance(summary, CorpusSummary) else _run_rows(summary)
        files = [("files", "all intact")] if not summary.problems else []
        files += [("problem", line) for line in summary.problems]
        if not isinstance(summary, CorpusSummary):
            files += [("note", line) for line in summary.notes]
        terminal.table(str(summary.path), rows + files)
    if summary.problems:
        raise ChargenError(
            f"{summary.path}: {len(summary.problems)} checks failed.",
            "See the problems listed above.",
        )


def _run_rows(summary: RunSummary) -> list[tuple[str, str]]:
    from chargen.terminal.words import counted

    model, training, history = summary.config.model, summary.config.training, summary.history
    corpus = summary.config.corpus
    sha256 = summary.weights_sha256 or "unknown"
    entry = "one-hot" if not model.embedding_size else f"vectors of {model.embedding_size}"
    biases = "" if model.bias else ", no biases"
    own = {
        name: value
        for cell in model.layer_cells()
        for name, value in model.options_of(cell).items()
    }
    given = ", ".join(f"{name} {value}" for name, value in own.items())
    cell = f"{model.cell} ({given})" if given else model.cell
    units = f"{model.num_layers} × {cell} of {model.hidden_size} units{biases}"
    dropout = f"dropout {training.dropout:g}"
    if training.dropout_growth:
        dropout += f", growth {training.dropout_growth:g}"
    rows = [
        (
            "network",
            f"{', '.join([units, *model.traits])}; |V| = {model.vocab_size:,} as {entry}; preset "
            f"{summary.config.preset}",
        ),
        ("parameters", f"{sum(summary.parameters.values()):,}"),
    ]
    rows += [
        *(
            (f"  {part}", _matrices(n, summary.shapes[part]))
            for part, n in summary.parameters.items()
        ),
        (
            "training",
            f"{training.optimizer}, lr {training.lr:g}, batch {training.batch_size}, windows of "
            f"{training.seq_length}, {dropout}, clip {training.grad_clip:g}, "
            f"seed {training.seed}, {counted(training.threads, 'thread')}, "
            f"{summary.config.precision}",
        ),
        ("corpus", f"{corpus.name} ({corpus.characters:,} characters)"),
        ("made from", ", ".join(text.name for text in corpus.sources)),
        ("average of", ", ".join(run.name for run in summary.config.averaged))
        if summary.config.averaged
        else ("history", _history(summary)),
    ]
    if history.loss is not None:
        rows.append(("last loss", f"{history.loss:.4f} nats"))
    rows += [
        (f"  step {step:,}", f"{bits:.4f} {model.unit}") for step, bits in history.evaluations[-12:]
    ]
    if summary.bits_per_char is not None:
        rows.append(("best", f"{summary.bits_per_char:.4f} {model.unit}"))
    step_of_best = summary.step_of_best
    of_step = "" if step_of_best is None else f"of step {step_of_best:,}, "
    rows += [
        ("weights", f"{of_step}sha256 {sha256[:16]}"),
        *_ngram_row(summary),
        ("written by", f"chargen {summary.config.chargen_version}"),
    ]
    return rows


def _history(summary: RunSummary) -> str:
    from chargen.terminal.words import duration

    history, total = summary.history, summary.config.total_steps
    if not history.steps and summary.step_of_best:
        return "unknown: the folder has no record of the training"
    ended = history.reason or "not ended"
    of = f"{total:,}" if total else "?"
    return f"{history.steps:,} of {of} steps in {duration(history.seconds)}, {ended}"


def _matrices(count: int, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Name the matrices and vectors of a part with their shapes, as the equations do."""
    named = [f"{name} {' × '.join(f'{n:,}' for n in shape)}" for name, shape in shapes.items()]
    if "P" in shapes:
        named.append("V = embedding · P")
    return f"{count:,}: {', '.join(named)}"


def _ngram_row(summary: RunSummary) -> list[tuple[str, str]]:
    """The counts that are mixed in, if there are any."""
    if summary.ngram is None:
        return []
    order, ngrams, size = (summary.ngram[name] for name in ("order", "ngrams", "bytes"))
    return [("counts", f"{ngrams:,} n-grams of up to {order} pieces, {size / 1e6:.1f} MB")]
