"""``chargen bench train``: the speed and the memory of a training step, measured here."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chargen.cli import options as opt


def bench_train(
    vocab_size: Annotated[int, typer.Option("--vocab-size", min=2, help="|V|.")] = 3000,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Lanes.")] = 32,
    seq_length: Annotated[int, typer.Option("--seq-length", min=1, help="Steps a window.")] = 64,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Turns of each.")] = 9,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Time a training step against the plain PyTorch loop of the same shape.

    Both make the same step in turn; medians, and ratios of neighbouring turns, so that a busy
    machine disturbs both alike. The last column compares the arithmetic rate with that of the
    machine's own matrix products.
    """
    from chargen.bench.train import bench_train as measure
    from chargen.cli.console import Terminal, human

    report = measure(
        vocab_size=vocab_size,
        batch_size=batch_size,
        seq_length=seq_length,
        rounds=rounds,
        device=device,
    )
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
        return
    terminal = Terminal(quiet=quiet)
    terminal.grid(
        f"{report.machine}, {report.threads} threads, {report.device}, torch {report.torch}",
        ("LSTM", "characters/s", "× plain loop", "GFLOP/s", "of matrix products"),
        [
            (
                str(row.hidden_size),
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
