"""``chargen bench scale``: time training with several processes, and project it onto machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.flags import Json
from chargen.options import CorpusConfig, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chargen.bench.projection import Projection
    from chargen.bench.scale import ScaleReport
    from chargen.terminal.console import Terminal


@command(only(CorpusConfig, "vocab_size"), only(TrainConfig, "threads", device="cpu"))
def bench_scale(
    preset: Annotated[
        list[str] | None,
        typer.Option("--preset", help="Preset; repeatable. \\[default: small, base and large]"),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Timed rounds.")] = 5,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Time training with two processes against one, and project it onto 2 to 64 machines.

    One process has all threads, each of two has half of them; they take turns, and ratios are
    medians over the rounds. Steps with fewer lanes, timed too, are what each of many machines
    would make of its share of the batch; what they send each other is computed from the size of
    the gradients. On a GPU one process is timed.
    """
    from chargen.bench.scale import PRESETS
    from chargen.bench.scale import bench_scale as measure
    from chargen.errors import ConfigError
    from chargen.machine.devices import cpu_threads

    if unknown := sorted(set(preset or ()) - set(PRESETS)):
        raise ConfigError(
            f"`preset` is {unknown[0]!r}, not one of {', '.join(PRESETS)}.", "Choose one of these."
        )
    with cpu_threads(options.pop("threads", 0)):
        report = measure(rounds=rounds, presets=tuple(preset or PRESETS), **options)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        _show_measured(terminal, report)
        _show_projected(terminal, "The batch is shared out", report.shared_out)
        _show_projected(terminal, "Each machine has the lanes of one", report.growing)


def _show_measured(terminal: Terminal, report: ScaleReport) -> None:
    from chargen.terminal.words import human

    def milliseconds(seconds: float | None) -> str:
        return "–" if seconds is None else f"{1000 * seconds:.1f} ms"

    terminal.grid(
        f"{report.machine}, {report.threads} threads, {report.device}, torch {report.torch}",
        (
            "preset", "parameters", "lanes", "characters/s", "two processes", "sent a step",
            "float32", "bfloat16", "agreeing",
        ),
        [
            (
                row.preset,
                human(row.parameters),
                str(row.batch_size),
                human(row.chars_per_second),
                "–" if row.shared is None else f"{row.shared:.2f} ×",
                f"{row.bytes_sent['float32'] / 1e6:.1f} MB" if row.bytes_sent else "–",
                milliseconds(row.exchange_seconds.get("float32")),
                milliseconds(row.exchange_seconds.get("bfloat16")),
                milliseconds(row.agree_seconds),
            )
            for row in report.rows
        ],
    )  # fmt: skip


def _show_projected(terminal: Terminal, title: str, rows: Sequence[Projection]) -> None:
    """Print the speed of some machines over one, a line for each network and link."""
    from chargen.bench.projection import MACHINES, last_worthwhile

    lines = []
    kinds = dict.fromkeys((row.preset, row.link, row.sent_as) for row in rows)
    for kind in kinds:
        own = [row for row in rows if (row.preset, row.link, row.sent_as) == kind]
        speeds = {row.machines: f"{row.speedup:.1f}" for row in own}
        lines.append(
            (
                f"{kind[0]}, {kind[1]} Gbit/s, {kind[2]}",
                *(speeds.get(n, "–") for n in MACHINES[1:]),
                str(last_worthwhile(own)),
            )
        )
    header = "times as fast as one machine", *map(str, MACHINES[1:]), "helps up to"
    terminal.grid(f"{title}: a projection", header, lines)
