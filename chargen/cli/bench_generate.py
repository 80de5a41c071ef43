"""``chargen bench generate``: time generation against plain PyTorch."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.flags import Json
from chargen.options import CorpusConfig, ModelConfig, TrainConfig

if TYPE_CHECKING:
    from chargen.bench.generate import GenerateReport
    from chargen.terminal.console import Terminal


@command(
    only(ModelConfig, cell="lstm", hidden_size=512, num_layers=1, embedding_size=128),
    only(CorpusConfig, "vocab_size"),
    only(TrainConfig, "threads", device="cpu"),
)
def bench_generate(
    slots: Annotated[
        list[int] | None,
        typer.Option(
            "--slots", min=1, help="Texts generated at once; repeatable. \\[default: 1, 64, 256]"
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Timed rounds.")] = 7,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Time generation against plain PyTorch loops and against its matrix products alone.

    The loops step nn.LSTM, softmax and multinomial; one takes one-hot vectors as input, the other
    uses nn.Embedding. All candidates run in each round and ratios are medians over the rounds, so
    that other load on the machine affects all of them equally.
    """
    from chargen.bench.generate import SLOTS
    from chargen.bench.generate import bench_generate as measure
    from chargen.machine.devices import cpu_threads, resolve_device

    with cpu_threads(options.pop("threads", 0)):
        device = str(resolve_device(options.pop("device")))
        report = measure(slots=slots or SLOTS, rounds=rounds, device=device, **options)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        _show_speed(terminal, report)


def _show_speed(terminal: Terminal, report: GenerateReport) -> None:
    layers = f"{report.num_layers} × " if report.num_layers > 1 else ""
    where = f"{report.threads} threads" if report.device == "cpu" else report.device
    terminal.grid(
        f"{layers}{report.cell} of {report.hidden_size}, |V| = {report.vocab_size:,}, "
        f"{report.machine}, {where}, torch {report.torch}",
        ("texts at once", "characters/s", "× one-hot loop", "× embedding loop", "of products"),
        [
            (
                f"{row.slots:,}",
                f"{row.chars_per_second:,.0f}",
                f"{row.against_one_hot:.2f}",
                f"{row.against_embedding:.2f}",
                f"{row.against_products:.0%}",
            )
            for row in report.rows
        ],
    )
