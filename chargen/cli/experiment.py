"""``chargen experiment``: what a reader can repeat with one command, a table and a picture each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cells import CELLS
from chargen.cli import options as opt

if TYPE_CHECKING:
    from chargen.experiments.outcome import Outcome, Progress

Corpus = Annotated[
    Path | None,
    typer.Option("--corpus", help="A text or a prepared corpus. \\[default: the shipped prose]"),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of initial weights and dropout.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")]


def cells(
    corpus: Corpus = None,
    cell: Annotated[
        list[str] | None,
        typer.Option("--cell", help="One to compare; repeatable. \\[default: all]"),
    ] = None,
    hidden_size: Annotated[
        int,
        typer.Option(
            "--hidden-size", min=1, help="Units of the LSTM; the others get as many parameters."
        ),
    ] = 128,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of each run at equal steps.")] = 200,
    minutes: Annotated[float, typer.Option("--minutes", help="Of each run at equal time.")] = 0.5,
    seed: Seed = 0,
    threads: opt.Threads = 0,
    out: Out = Path("cells.png"),
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """All cells learn the same text with equal numbers of parameters.

    First in equal numbers of steps, then in equal time; everything but the cell and its width is
    the preset small. Validation is the best of about ten measurements.
    """
    from chargen.experiments.cells import compare_cells

    def run(on_progress: Progress) -> Outcome:
        return compare_cells(
            corpus,
            cells=tuple(dict.fromkeys(cell or CELLS)),
            hidden_size=hidden_size,
            steps=steps,
            minutes=minutes,
            seed=seed,
            threads=threads,
            on_progress=on_progress,
        )

    _run(run, out, as_json=as_json, quiet=quiet)


def clockwork(
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of training, a network.")] = 1000,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Initial weights tried at each learning rate.")
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first of the seeds.")] = 0,
    threads: opt.Threads = 0,
    out: Out = Path("clockwork.png"),
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Clockwork, LSTM and simple network learn to put out a wave, without any input.

    The published set-up: one hidden layer, equal numbers of parameters, weights from N(0, 0.1),
    Nesterov momentum. Every learning rate is tried for each, from several seeds; gradients are
    clipped.
    """
    from chargen.experiments.clockwork import draw_wave

    def run(on_progress: Progress) -> Outcome:
        return draw_wave(
            steps=steps, seeds=seeds, seed=seed, threads=threads, on_progress=on_progress
        )

    _run(run, out, as_json=as_json, quiet=quiet)


def gradients(
    corpus: Corpus = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of training, a cell.")] = 300,
    lags: Annotated[int, typer.Option("--lags", min=1, help="The furthest step back.")] = 64,
    hidden_size: Annotated[int, typer.Option("--hidden-size", min=1, help="Units.")] = 192,
    seed: Seed = 0,
    threads: opt.Threads = 0,
    out: Out = Path("gradients.png"),
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """How gradients vanish through time in a trained simple network, an LSTM and a GRU.

    The norm of ∂L_t/∂s_{t−k} against the lag k, as inspect --gradients measures it.
    """
    from chargen.experiments.vanishing import compare_gradients

    def run(on_progress: Progress) -> Outcome:
        return compare_gradients(
            corpus,
            steps=steps,
            lags=lags,
            hidden_size=hidden_size,
            seed=seed,
            threads=threads,
            on_progress=on_progress,
        )

    _run(run, out, as_json=as_json, quiet=quiet)


def clipping(
    corpus: Corpus = None,
    rate: Annotated[
        list[float] | None,
        typer.Option("--rate", help="Learning rate; repeatable. \\[default: 0.1, 0.3, 1, 3]"),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of training, a run.")] = 200,
    seed: Seed = 0,
    threads: opt.Threads = 0,
    out: Out = Path("clipping.png"),
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """A simple network with and without gradient clipping, at high learning rates.

    By SGD, over long windows. A run whose loss is no number is told to have diverged, and one
    that ends worse than guessing, so.
    """
    from chargen.experiments.clipping import RATES, compare_clipping

    def run(on_progress: Progress) -> Outcome:
        return compare_clipping(
            corpus,
            rates=tuple(dict.fromkeys(rate or RATES)),
            steps=steps,
            seed=seed,
            threads=threads,
            on_progress=on_progress,
        )

    _run(run, out, as_json=as_json, quiet=quiet)


def _run(run: Callable[[Progress], Outcome], out: Path, *, as_json: bool, quiet: bool) -> None:
    """Run, draw, and print tables or JSON; that it can be drawn is tried before."""
    from chargen.cli.terminal.console import Terminal
    from chargen.inspection.plots import check_picture

    check_picture(out)
    terminal = Terminal(quiet=quiet)
    with terminal.progress("beginning", "") as on_progress:
        outcome = run(on_progress)
    outcome.draw(out)
    if as_json:
        typer.echo(json.dumps(outcome.to_dict(), ensure_ascii=False))
    else:
        for table in outcome.tables():
            terminal.grid(table.title, table.header, table.rows)
    terminal.say(f"Drawn: {out}")
