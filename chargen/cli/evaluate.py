"""``chargen eval``: measure how well a model predicts a text."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.answers import show_judgement
from chargen.cli.command import command, only
from chargen.cli.flags import Json, NamedRun, NoNgram, RunsDir
from chargen.cli.order import check_order
from chargen.cli.sample import say_conversion
from chargen.errors import ConfigError
from chargen.options import CorpusConfig, SamplingConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.evaluation.scores import CharScores, Score
    from chargen.generation.generator import Generator
    from chargen.terminal.console import Terminal


_READING = ("encoding", "errors")
_BATCH_SIZE = 32
_DOES = {
    "text": "continues a text",
    "lines": "continues lines",
    "labels": "continues texts with labels",
    "classify": "tells the labels of texts",
    "seq2seq": "answers lines",
    "infill": "fills gaps",
}
"""What the runs of each kind do."""
_ANSWERING = ("match_source_length", "beam_size", "length_penalty")
_FOR = {
    **dict.fromkeys(("batch_size", "per_char", "recall"), "text"),
    "no_labels": "labels",
    "out": "classify",
    **dict.fromkeys(("form", *_ANSWERING), "seq2seq"),
}
"""The kind of run that has an option; the others are for all."""
_MANY_UNKNOWN = 0.1
"""Share of characters outside the vocabulary that is remarked on."""


_BatchSize = Annotated[
    int,
    typer.Option("--batch-size", min=1, help="Segments scored at once; affects only the speed."),
]
_PerChar = Annotated[
    Path | None,
    typer.Option(
        "--per-char",
        help="File for the bits of each character, as JSON lines; - is standard output, and "
        "replaces the report.",
    ),
]
_Form = Annotated[
    str | None, typer.Option("--form", help="couplet: answer as the rules of couplets ask.")
]
_NoLabels = Annotated[bool, typer.Option("--no-labels", help="Score records without their labels.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="PNG, SVG or PDF of a classifier's confusion matrix."),
]


@command(
    only(CorpusConfig, "encoding", "errors"),
    only(TrainConfig, "device"),
    only(
        SamplingConfig,
        *_ANSWERING,
        recall=0,
        meant={"recall": "How strongly names and phrases of what was read come back; 0: off"},
    ),
)
def evaluate(
    run: NamedRun,
    file: Annotated[Path, typer.Argument(help="A text, records or pairs.", show_default=False)],
    batch_size: _BatchSize = _BATCH_SIZE,
    per_char: _PerChar = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    form: _Form = None,
    no_labels: _NoLabels = False,
    out: _Out = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Measure how well a model predicts a text, or a classifier the labels of texts.

    The text is cut into segments of 2,048 characters, each warmed up on the 512 characters before
    it. Characters outside the vocabulary have a cost, so that models with different vocabularies
    can be compared. With --recall, names and phrases of what was read come back, as those of a
    prompt do in sample; such bits compare with those of a compressor. Of a classifier: accuracy,
    macro-F1, figures of each label, and the confusion matrix.

    With a run of the task infill, each character of a line is scored given all others. These bits
    don't compare with those of a language model; accuracy is the share of single gaps filled right.

    A run that answers lines is scored by the answers of a file of pairs, and answers the lines
    itself, with the likeliest characters or by the options given, for BLEU, chrF and the share of
    answers that keep the rules of a couplet.
    """
    from chargen import api
    from chargen.cli.labels import evaluate_labels

    device = options.pop("device", "auto")
    reading = {name: options.pop(name) for name in _READING if name in options}
    check_order("eval", run, file, runs_dir)
    generator = api.load(run, runs_dir=runs_dir, device=device, ngram=not no_ngram)
    recall = options.pop("recall")
    own = {"batch_size": batch_size != _BATCH_SIZE, "per_char": per_char, "recall": recall}
    own |= {"no_labels": no_labels, "out": out, "form": form}
    kind = _check_options(generator, [*(name for name in own if own[name]), *options])
    if kind == "classify":
        evaluate_labels(generator, file, out, terminal, as_json=as_json, **reading)
        return
    if kind == "seq2seq":
        judgement = generator.judge_answers(file, form=form, **reading, **options)
        show_judgement(generator, file, judgement, terminal, as_json=as_json)
        return
    if kind == "text":
        text = api.read_text(file, unwrap=generator.unwrap, **reading)
        say_conversion(terminal, generator, "The text")
        scores = generator.score_characters(text, batch_size, recall)
        score = scores.total()
        if per_char:
            _write_per_char(per_char, generator.as_learnt(text), scores)
        _remark_on_unknown(score.oov_rate, generator, terminal)
    else:
        score = generator.score_records(file, labels=not no_labels, **reading)
    if str(per_char) != "-":
        _show(generator, file, score, terminal, as_json=as_json, recall=recall)


def _check_options(generator: Generator, given: Sequence[str]) -> str:
    """The kind of a run; ConfigError for all options that only another kind of run has."""
    model = generator.loaded.config.model
    kind: str = model.task
    if kind == "lm":
        kind = ("labels" if model.labels else "lines") if model.records else "text"
    wrong: dict[str, list[str]] = {}
    for name in given:
        if _FOR.get(name, kind) != kind:
            wrong.setdefault(_FOR[name], []).append(f"`{name}`")
    if wrong:
        needs = (
            f"{', '.join(names)} need{'s' * (len(names) == 1)} a run that {_DOES[other]}"
            for other, names in wrong.items()
        )
        raise ConfigError(
            f"{generator.path} {_DOES[kind]}; {'; '.join(needs)}.",
            f"Leave {'it' if sum(map(len, wrong.values())) == 1 else 'them'} out.",
        )
    return kind


def _show(
    generator: Generator,
    file: Path,
    score: Score,
    terminal: Terminal,
    *,
    as_json: bool,
    recall: float = 0.0,
) -> None:
    """Report a score; with recall, which characters are the likeliest isn't known."""
    if as_json:
        report = {"checkpoint": str(generator.path), "file": str(file), **score.to_dict()}
        if recall:
            report["recall"] = recall
            del report["accuracy"]
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    given = ", given the others" * (generator.loaded.config.model.task == "infill")
    given += f", recall {recall:g}" * bool(recall)
    terminal.table(
        f"{generator.path} on {file}",
        [
            (f"bits per character{given}", f"{score.bits_per_char:.4f}"),
            ("nats per character", f"{score.nats_per_char:.4f}"),
            ("perplexity", f"{score.perplexity:.2f}"),
            *([] if recall else [("accuracy", f"{score.accuracy:.2%}")]),
            ("out of vocabulary", f"{score.oov_rate:.3%}"),
            ("characters", f"{score.characters:,} ({score.pieces:,} pieces)"),
        ],
    )


def _remark_on_unknown(share: float, generator: Generator, terminal: Terminal) -> None:
    """Say so where much of a text is outside the vocabulary."""
    if share > _MANY_UNKNOWN:
        learnt = ", ".join(each.name for each in generator.loaded.config.corpus.sources[:3])
        terminal.say(
            f"{share:.0%} of the characters are outside the vocabulary of {generator.path}, which "
            f"was trained on {learnt}; the figures mostly measure that."
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
