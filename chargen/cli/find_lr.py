"""What ``chargen train --find-lr`` shows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chargen.cli.terminal.charts import line_chart
from chargen.errors import ConfigError

if TYPE_CHECKING:
    from chargen.corpus.prepared import Progress
    from chargen.training.lr_finder import RangeTest


def show_find_lr(
    corpus: list[Path] | None,
    *,
    png: Path | None,
    as_json: bool,
    quiet: bool,
    resume: bool,
    **options: Any,
) -> None:
    """Test learning rates, and print the curve or JSON; a picture too, if there is a place."""
    from chargen import api
    from chargen.cli.terminal.console import PlainView, Terminal

    if resume:
        raise ConfigError(
            "--find-lr and --resume contradict each other.",
            "A run that goes on keeps its learning rate; leave --resume out.",
        )
    terminal = Terminal(quiet=quiet)
    view = PlainView(terminal.say)

    def on_progress(progress: Progress) -> None:
        view.preparing(progress.phase, progress.done, progress.total)

    with terminal.progress("trying learning rates", "steps") as show:

        def on_step(done: int, total: int) -> None:
            show("trying learning rates", done, total)

        test = api.find_lr(corpus, out=png, on_progress=on_progress, on_step=on_step, **options)
    for note in test.notes:
        terminal.say(note)
    if as_json:
        typer.echo(json.dumps(test.to_dict()))
    else:
        terminal.picture(
            "nats a piece, smoothed, over the learning rate", chart(test, terminal.columns)
        )
        terminal.table("", _rows(test))
    if png is not None:
        terminal.say(f"Drawn: {png}")


def chart(test: RangeTest, width: int) -> list[str]:
    """The smoothed curve; what is above its beginning is cut off, and ▲ is the suggestion."""
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
        ("lowest loss at", f"{test.lowest_lr:.2g}, after {len(test.lr)} steps in all"),
    ]
    if not test.diverged:
        rows.append(("note", "The loss never rose again: higher rates may be good too."))
    return rows
