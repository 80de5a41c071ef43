"""Training with several processes: measured on this machine, projected onto many."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from chargen.bench.projection import BYTES, Projection, last_worthwhile, project
from chargen.bench.steps import Trainer, Workers, config_of, workers
from chargen.bench.timing import Timings
from chargen.machine.devices import resolve_device
from chargen.machine.processor import processor_name
from chargen.machine.team import ALONE
from chargen.network.model import CharModel

PRESETS = ("small", "base", "large")
PROCESSES = 2
_EXCHANGES = 5
"""That are timed at once: one is short."""


@dataclass(frozen=True)
class SizeRow:
    """The steps of one preset.

    Attributes:
        preset, parameters: of the network.
        batch_size: lanes of all processes together.
        chars_per_second: of one process with all threads.
        shared: speed of two processes with half the threads each, relative to one; None: not
            measured, as on a GPU.
        bytes_sent: through each process of two in a step, by format.
        exchange_seconds: of such an exchange between two processes on this machine, by format.
        agree_seconds: that two processes need to agree on something small.
        step_seconds: of one process with all threads, by the number of its lanes.
        largest: machines after which more no longer help, by link in Gbit/s and format, with the
            batch shared out.
        largest_growing: the same where each machine keeps all lanes.
    """

    preset: str
    parameters: int
    batch_size: int
    chars_per_second: float
    shared: float | None
    bytes_sent: dict[str, int]
    exchange_seconds: dict[str, float]
    agree_seconds: float | None
    step_seconds: dict[int, float]
    largest: dict[str, int]
    largest_growing: dict[str, int]


@dataclass(frozen=True)
class ScaleReport:
    """The results of ``chargen bench scale``, and the conditions."""

    machine: str
    device: str
    threads: int
    torch: str
    vocab_size: int
    rounds: int
    rows: tuple[SizeRow, ...]
    shared_out: tuple[Projection, ...]
    growing: tuple[Projection, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def bench_scale(
    *,
    vocab_size: int = 3000,
    rounds: int = 5,
    device: str = "cpu",
    presets: tuple[str, ...] = PRESETS,
) -> ScaleReport:
    """Measure with random weights and characters, on torch's current number of threads."""
    place, threads = resolve_device(device), torch.get_num_threads()
    shared_out: list[Projection] = []
    growing: list[Projection] = []
    if place.type == "cpu":
        with workers(1, threads) as one, workers(PROCESSES, max(1, threads // PROCESSES)) as two:
            measured = [_row(preset, vocab_size, rounds, device, one, two) for preset in presets]
    else:
        measured = [_row(preset, vocab_size, rounds, device, None, None) for preset in presets]
    for row in measured:
        _, _, window = config_of(row.preset, vocab_size)
        about = row.preset, row.parameters, row.step_seconds, window
        fixed, grown = project(*about, grows=False), project(*about, grows=True)
        row.largest.update(_largest(fixed))
        row.largest_growing.update(_largest(grown))
        shared_out += fixed
        growing += grown
    return ScaleReport(
        machine=processor_name(),
        device=torch.cuda.get_device_name() if place.type == "cuda" else str(place),
        threads=threads,
        torch=torch.__version__,
        vocab_size=vocab_size,
        rounds=rounds,
        rows=tuple(measured),
        shared_out=tuple(shared_out),
        growing=tuple(growing),
    )


def _largest(rows: tuple[Projection, ...]) -> dict[str, int]:
    kinds = sorted({(row.link, row.sent_as) for row in rows})
    return {
        f"{link} {sent_as}": last_worthwhile(
            [row for row in rows if (row.link, row.sent_as) == (link, sent_as)]
        )
        for link, sent_as in kinds
    }


def _row(
    preset: str,
    vocab_size: int,
    rounds: int,
    device: str,
    one: Workers | None,
    two: Workers | None,
) -> SizeRow:
    config, batch, window = config_of(preset, vocab_size)
    lanes = [batch >> n for n in range(batch.bit_length())]
    if one is None or two is None:
        trainer = Trainer(preset, vocab_size, device, ALONE)
        parameters = sum(p.numel() for p in trainer.parameters)
        seconds = {n: trainer.timed("step", (n, "float32"), 3, 5 * rounds) for n in lanes}
        return SizeRow(
            preset, parameters, batch, window * batch / seconds[batch], None, {}, {}, None,
            seconds, {}, {},
        )  # fmt: skip
    for each in (one, two):
        each.begin(preset, vocab_size, device)
    candidates = {f"one {n}": partial(one.timed, "step", n, "float32") for n in lanes}
    candidates["two"] = partial(two.timed, "step", batch, "float32")
    for name in BYTES:
        candidates[f"sent {name}"] = partial(two.timed, "exchange", name, times=_EXCHANGES)
    candidates["agree"] = partial(two.timed, "agree", times=20 * _EXCHANGES)
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            found[name].append(run())
    timings = Timings({name: tuple(each) for name, each in found.items()})
    with torch.device("meta"):
        parameters = sum(p.numel() for p in CharModel(config).parameters())
    whole = timings.median(f"one {batch}")
    seconds = {n: whole / timings.ratio(f"one {batch}", f"one {n}") for n in lanes}
    return SizeRow(
        preset=preset,
        parameters=parameters,
        batch_size=batch,
        chars_per_second=window * batch / seconds[batch],
        shared=timings.ratio(f"one {batch}", "two"),
        bytes_sent={name: parameters * size for name, size in BYTES.items()},
        exchange_seconds={name: timings.median(f"sent {name}") for name in BYTES},
        agree_seconds=timings.median("agree"),
        step_seconds=seconds,
        largest={},
        largest_growing={},
    )
