"""``chargen find-lr``: find a learning rate for a network and a text."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import typer

from chargen.cli.command import command
from chargen.cli.flags import (
    Corpus,
    InitFrom,
    Json,
    Picture,
    Preset,
    RunsDir,
    Src,
    Tgt,
    sides_as_files,
)
from chargen.cli.naming import in_flags
from chargen.options import CorpusConfig, ModelConfig, TrainConfig
from chargen.terminal.charts import line_chart

if TYPE_CHECKING:
    from chargen.corpus.progress import PrepareProgress
    from chargen.terminal.console import Terminal
    from chargen.training.lr_finder import RangeTest


@command(ModelConfig, TrainConfig, CorpusConfig)
def find_lr(
    corpus: Corpus = None,
    preset: Preset = None,
    init_from: InitFrom = None,
    src: Src = None,
    tgt: Tgt = None,
    runs_dir: RunsDir = None,
    out: Picture = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Try learning rates, draw the loss curve, and suggest one; nothing is saved.

    Makes up to 300 steps, each at a higher learning rate than the one before. Takes the texts and
    options of chargen train, so that its command line can be copied, but not those for the run
    folder: --name, --out-dir, --resume and --tensorboard. Budgets and intervals have no effect.
    """
    from chargen import api
    from chargen.terminal.plain import PlainView

    texts, options = sides_as_files(corpus, src, tgt, options)
    view = PlainView(terminal.say)

    def on_progress(progress: PrepareProgress) -> None:
        view.preparing(progress.phase, progress.done, progress.total)

    with terminal.progress("trying learning rates", "steps") as show:

        def on_step(done: int, total: int) -> None:
            show("trying learning rates", done, total)

        test = api.find_lr(
            texts,
            preset=preset,
            init_from=init_from,
            runs_dir=runs_dir,
            out=out,
            on_progress=on_progress,
            on_step=on_step,
            **options,
        )
    for note in test.notes:
        terminal.say(in_flags(note))
    if as_json:
        typer.echo(json.dumps(test.to_dict()))
    else:
        terminal.picture(
            "nats per piece, smoothed, over the learning rate", chart(test, terminal.columns)
        )
        terminal.table("", _rows(test))
    if out is not None:
        terminal.say(f"Drawn: {out}")


def chart(test: RangeTest, width: int) -> list[str]:
    """Draw the smoothed curve, cut off above its first value; ▲ marks the suggestion."""
    ceiling = max(test.smoothed[0], min(test.smoothed) + 0.5)
    places = [math.log10(lr) for lr in test.lr]
    curve = [(x, min(y, ceiling)) for x, y in zip(places, test.smoothed, strict=True)]
    at = math.log10(test.suggested_lr)
    curves = [("•", curve), ("▲", [p for p in curve if p[0] >= at][:1])]
    return line_chart(curves, ends=(f"{test.lr[0]:.1e}", f"{test.lr[-1]:.1e}"), width=width)


def _rows(test: RangeTest) -> list[tuple[str, str]]:
    rows = [
        ("suggested", f"--lr {test.suggested_lr:g}"),
        ("as configured", f"{test.configured_lr:g}"),
        ("lowest loss at", f"{test.lowest_lr:.2g}, of {len(test.lr)} steps"),
    ]
    if not test.diverged:
        rows.append(("note", "The loss never rose: higher rates may work as well."))
    return rows
