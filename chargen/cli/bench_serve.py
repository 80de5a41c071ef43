"""``chargen bench serve``: time the server against its engine and the plainest server."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command, only
from chargen.cli.flags import Json, Run, RunsDir
from chargen.options import TrainConfig

if TYPE_CHECKING:
    from chargen.bench.serve import ServeReport
    from chargen.terminal.console import Terminal


@command(only(TrainConfig, "threads"))
def bench_serve(
    run: Run = None,
    runs_dir: RunsDir = None,
    clients: Annotated[
        list[int] | None,
        typer.Option(
            "--clients", min=1, help="Clients at once; repeatable. \\[default: 1, 16, 64, 256]"
        ),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", "-n", min=1, help="Characters of a text.")
    ] = 200,
    requests: Annotated[
        int,
        typer.Option("--requests", min=2, help="Texts of each client in turn, at a steady load."),
    ] = 4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Timed rounds.")] = 5,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Time streamed texts of many clients against the engine alone, and the plainest server.

    The servers run as processes of their own, and the clients in this one. The engine alone has as
    many slots as there are clients; the plainest server answers one request at a time. All of them
    run in each round and ratios are medians over the rounds.

    Once all clients ask at the same time, for a text each over a new connection; then each asks for
    several, one after the other, of half to one and a half times the length (steady). All texts
    must be the engine's own.
    """
    from chargen.bench.serve import CLIENTS
    from chargen.bench.serve import bench_serve as measure
    from chargen.machine.devices import cpu_threads
    from chargen.runs.finding import find_run, runs_folder
    from chargen.runs.shipped import STORIES

    shipped = STORIES if runs_dir is None else None
    folder = find_run(run, runs_folder(runs_dir), finished=True, shipped=shipped)
    threads = options.pop("threads", 0)
    with cpu_threads(threads):
        report = measure(
            folder,
            clients=clients or CLIENTS,
            length=length,
            requests=requests,
            rounds=rounds,
            threads=threads,
        )
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        _show(terminal, report)


def _show(terminal: Terminal, report: ServeReport) -> None:
    terminal.grid(
        f"{report.run}: {report.cell} of {report.hidden_size}, |V| = {report.vocab_size:,}, "
        f"{report.machine}, {report.threads} threads, torch {report.torch}",
        (
            *("clients", "characters/s", "first character", "slowest", "of the engine"),
            *("steady: characters/s", "first character", "of the engine", "× plainest"),
        ),
        [
            (
                str(row.clients),
                f"{row.chars_per_second:,.0f}",
                f"{row.first_character * 1000:.0f} ms",
                f"{row.slowest_first_character * 1000:.0f} ms",
                f"{row.against_engine:.2f}",
                f"{row.steady_chars_per_second:,.0f}",
                f"{row.steady_first_character * 1000:.0f} ms",
                f"{row.steady_against_engine:.2f}",
                f"{row.against_plain:.1f}",
            )
            for row in report.rows
        ],
    )
