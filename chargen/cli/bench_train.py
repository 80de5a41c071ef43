"""``chargen bench train``: time a training step against plain PyTorch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.flags import Json
from chargen.options import CorpusConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.bench.train import TrainReport
    from chargen.terminal.console import Terminal

_NETWORKS = {"preset": "preset's", "loop": "loop's"}


@command(
    only(CorpusConfig, "vocab_size"),
    only(TrainConfig, "batch_size", "seq_length", "threads", "device"),
)
def bench_train(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Timed rounds.")] = 9,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Time a training step against a plain PyTorch loop of the same shape.

    All candidates run in each round and ratios are medians over the rounds, so that other load on
    the machine affects all of them equally. Presets tie input and output weights for a large
    vocabulary; a network exactly like the loop's is measured as well. The last column compares
    the arithmetic rate with that of large matrix products of the same format on this machine.
    Where the machine is made for bfloat16, it is timed too, against the same float32 loop.
    """
    from chargen.bench.train import bench_train as measure
    from chargen.machine.devices import cpu_threads

    with cpu_threads(options.pop("threads", 0)):
        report = measure(rounds=rounds, **options)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        _show_step(terminal, report)


def _show_step(terminal: Terminal, report: TrainReport) -> None:
    from chargen.terminal.words import human

    terminal.grid(
        f"{report.machine}, {report.threads} threads, {report.device}, torch {report.torch}",
        (
            "LSTM, network",
            "format",
            "characters/s",
            "× plain loop",
            "GFLOP/s",
            "of matrix products",
        ),
        [
            (
                f"{row.hidden_size}, {_NETWORKS[row.network]}",
                row.precision,
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
