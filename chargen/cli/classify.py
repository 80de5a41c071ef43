"""``chargen classify``: tell the labels of texts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, each_of, only
from chargen.cli.embed import reading_of
from chargen.cli.flags import NamedRun, NoNgram, RunsDir
from chargen.cli.sample import say_conversion
from chargen.options import ClassifyConfig, CorpusConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal


@command(
    each_of(ClassifyConfig),
    only(CorpusConfig, "encoding", "errors", "text_key"),
    only(TrainConfig, "device"),
)
def classify(
    run: NamedRun,
    file: Annotated[
        str,
        typer.Argument(
            help="A file of records, or of texts, a line each; - is standard input.",
            show_default=False,
        ),
    ],
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    options: dict[str, Any],
    terminal: Terminal,
) -> None:
    """Predict the label of each text, as a JSON object a line: id, label, score.

    The run is a classifier, or a language model with labels: that one ranks labels by the bits
    that they leave of a text, and by how many texts had each. Scores are probabilities; those of
    all labels sum to 1. Of texts that have a label, the share predicted correctly is reported.
    """
    from chargen import api
    from chargen.corpus.judged import judged_texts

    reading = {n: options.pop(n) for n in ("encoding", "errors", "text_key") if n in options}
    device = options.pop("device", "auto")
    model = api.load(run, runs_dir=runs_dir, device=device, ngram=not no_ngram)
    say_conversion(terminal, model, "The text")
    records = judged_texts(file, reading_of(model, **reading))
    labelled = right = 0
    for told in model.classify_records(records, **options):
        typer.echo(json.dumps(told.to_dict(), ensure_ascii=False))
        labelled += told.true is not None
        right += told.true is not None and told.true == told.label
    if labelled:
        terminal.say(
            f"Of {labelled:,} texts with a label, {right / labelled:.1%} are predicted correctly."
        )
