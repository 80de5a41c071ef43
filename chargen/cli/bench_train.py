"""``chargen bench train``: a training step, and what is learnt in equal time, measured here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli import options as opt
from chargen.training.presets import DEFAULT_PRESET, PRESETS

if TYPE_CHECKING:
    from chargen.bench.train import TrainReport
    from chargen.cli.terminal.console import Terminal
    from chargen.experiments.quality import QualityReport

STEP = "A step"
_NETWORKS = {"preset": "preset's", "loop": "loop's"}
QUALITY = "What is learnt in equal time"


def bench_train(
    vocab_size: Annotated[int, typer.Option("--vocab-size", min=2, help="|V|.")] = 3000,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Lanes.", rich_help_panel=STEP)
    ] = 32,
    seq_length: Annotated[
        int, typer.Option("--seq-length", min=1, help="Steps a window.", rich_help_panel=STEP)
    ] = 64,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Turns of each.", rich_help_panel=STEP)
    ] = 9,
    quality: Annotated[
        Path | None,
        typer.Option(
            "--quality",
            help="A text to learn, in place of timing a step.",
            rich_help_panel=QUALITY,
        ),
    ] = None,
    minutes: Annotated[
        float,
        typer.Option("--minutes", min=0.01, help="Of training, each.", rich_help_panel=QUALITY),
    ] = 1.67,
    preset: Annotated[
        str,
        typer.Option("--preset", help=f"{', '.join(PRESETS)}.", rich_help_panel=QUALITY),
    ] = DEFAULT_PRESET,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of initial weights.", rich_help_panel=QUALITY)
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="PNG of the curves. \\[default: quality-TEXT.png]",
            rich_help_panel=QUALITY,
        ),
    ] = None,
    threads: opt.Threads = 0,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Time a training step against the plain PyTorch loop of the same shape.

    They make the step in turn; medians, and ratios of neighbouring turns, so that a busy machine
    disturbs all alike. Presets tie the output's weights to the input's for a large vocabulary;
    beside that network stands one exactly as the loop's. The last column compares the arithmetic
    rate with that of the machine's own matrix products.

    With --quality a preset, the plain loop with char-rnn's defaults and a small GPT learn a text
    by turns, each for so many minutes; scoring is not counted. A short run of the preset, planned
    for an eighth of the minutes, is set against the GPT's end. Needs the extras bench and plot.
    """
    from chargen.cli.terminal.console import Terminal
    from chargen.machine.devices import cpu_threads

    terminal = Terminal(quiet=quiet)
    if quality is not None:
        picture = out or Path(f"quality-{quality.stem}.png")
        with cpu_threads(threads):
            learnt = _learn(terminal, quality, minutes, preset, vocab_size, seed, device, picture)
        if as_json:
            typer.echo(json.dumps({**learnt.to_dict(), "picture": str(picture)}))
        else:
            _show_quality(terminal, learnt)
            terminal.say(f"Curves: {picture}")
        return
    from chargen.bench.train import bench_train as measure

    with cpu_threads(threads):
        report = measure(
            vocab_size=vocab_size,
            batch_size=batch_size,
            seq_length=seq_length,
            rounds=rounds,
            device=device,
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        _show_step(terminal, report)


def _learn(
    terminal: Terminal,
    text: Path,
    minutes: float,
    preset: str,
    vocab_size: int,
    seed: int,
    device: str,
    picture: Path,
) -> QualityReport:
    from chargen.experiments.contenders import Budget
    from chargen.experiments.curves import plot_quality
    from chargen.experiments.quality import bench_quality
    from chargen.inspection.plots import check_picture

    check_picture(picture)
    with terminal.progress("learning by turns", "%") as update:
        report = bench_quality(
            text,
            Budget(minutes * 60),
            preset=preset,
            vocab_size=vocab_size,
            seed=seed,
            device=device,
            on_progress=lambda share: update("learning by turns", 100 * share, 100),
        )
    plot_quality(report, picture)
    return report


def _show_quality(terminal: Terminal, report: QualityReport) -> None:
    from chargen.cli.terminal.console import human

    goal = report.gpt.points[-1].bits_per_char
    terminal.grid(
        f"{report.text}, |V| = {report.vocab_size:,}; {report.machine}, {report.threads} threads, "
        f"{report.device}, torch {report.torch}",
        ("", "parameters", "steps", "seconds", "bits/character", "to GPT's end"),
        [
            (
                curve.name,
                human(curve.parameters),
                f"{curve.points[-1].steps:,}",
                f"{curve.seconds:.1f}",
                f"{curve.bits_per_char:.3f}",
                "never" if (at := curve.seconds_to(goal)) is None else f"{at:.1f} s",
            )
            for curve in report.curves
        ],
    )
    share = report.share_of_gpts_time
    reached = "never" if share is None else f"after {share:.3f} of its time"
    beats = "reaches" if report.short_beats_gpt else "misses"
    length = report.short.seconds / report.gpt.seconds
    terminal.table(
        "Against the GPT's end",
        [
            ("curve", f"of {report.chargen.name}: there {reached}"),
            ("short run", f"planned for 1/8, took {length:.3f} of its time: {beats} it"),
        ],
    )


def _show_step(terminal: Terminal, report: TrainReport) -> None:
    from chargen.cli.terminal.console import human

    terminal.grid(
        f"{report.machine}, {report.threads} threads, {report.device}, torch {report.torch}",
        ("LSTM, network", "characters/s", "× plain loop", "GFLOP/s", "of matrix products"),
        [
            (
                f"{row.hidden_size}, {_NETWORKS[row.network]}",
                human(row.chars_per_second),
                f"{row.against_loop:.2f}",
                f"{row.gflops:.0f}",
                f"{row.of_products:.0%}",
            )
            for row in report.rows
        ],
    )
    if report.memory and report.memory_ratio is not None:
        terminal.table(
            "Peak memory of a step, batch 64, windows of 128",
            [(name, f"{size / 2**20:.0f} MiB") for name, size in report.memory.items()]
            + [("ratio", f"{report.memory_ratio:.2f}")],
        )
