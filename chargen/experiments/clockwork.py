"""Comparison of clockwork, LSTM and simple network at reproducing a waveform without input.

The setup follows Koutník, Greff, Gomez and Schmidhuber, "A clockwork RNN", ICML 2014: a waveform of
320 samples, one hidden layer, no input, equal numbers of parameters, weights from N(0, 0.1), forget
gates that start open, Nesterov momentum 0.95, a learning rate for each method. There are two
differences: the waveform is synthetic, not taken from music, and gradients are clipped, because the
clockwork diverges otherwise.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chargen.experiments.outcome import ShowProgress, Table, silent
from chargen.experiments.waveform import SAMPLES, WaveNetwork, learn_wave, make_wave
from chargen.inspection.plots import new_figure, plain_log_axis, save_figure
from chargen.machine.devices import cpu_threads

PARAMETERS = 540
"""The most parameters of a network: those of an LSTM with 11 units."""
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
NETWORKS: Mapping[str, Mapping[str, Any]] = {"clockwork": {"modules": 9}, "lstm": {}, "rnn": {}}


@dataclass(frozen=True)
class Search:
    """A network trained at every learning rate from every seed.

    Attributes:
        errors: the lowest MSE of each seed, by learning rate.
        rate: the learning rate with the lowest median of these.
        course: at that rate, the median over seeds of the lowest MSE so far, before each step and
            after the last.
        wave: at that rate, the output of the network with the median MSE.
    """

    cell: str
    units: int
    parameters: int
    errors: Mapping[float, tuple[float, ...]]
    rate: float
    course: tuple[float, ...]
    wave: tuple[float, ...]

    @property
    def found(self) -> tuple[float, ...]:
        """The lowest MSE of each seed at the best rate."""
        return self.errors[self.rate]

    @property
    def median(self) -> float:
        return statistics.median_low(self.found)


@dataclass(frozen=True)
class ClockworkOutcome:
    """The result of ``draw_wave``."""

    steps: int
    target: tuple[float, ...]
    searches: tuple[Search, ...]

    def tables(self) -> tuple[Table, ...]:
        variance = statistics.pvariance(self.target)
        return (
            Table(
                f"A waveform of {len(self.target)} samples without input, {self.steps:,} steps; "
                f"MSE of a constant: {variance:.3f}",
                ("cell", "units", "parameters", "learning rate", "median MSE", "least", "most"),
                tuple(
                    (
                        each.cell,
                        str(each.units),
                        str(each.parameters),
                        f"{each.rate:g}",
                        f"{each.median:.2g}",
                        f"{min(each.found):.2g}",
                        f"{max(each.found):.2g}",
                    )
                    for each in self.searches
                ),
            ),
            Table(
                f"Median MSE of {len(self.searches[0].found)} seeds at each learning rate",
                ("learning rate", *(each.cell for each in self.searches)),
                tuple(
                    (
                        f"{rate:g}",
                        *(f"{statistics.median_low(s.errors[rate]):.2g}" for s in self.searches),
                    )
                    for rate in self.searches[0].errors
                ),
            ),
        )

    def findings(self) -> tuple[str, str]:
        best, *others = sorted(self.searches, key=lambda each: each.median)
        variance = statistics.pvariance(self.target)
        behind = " and ".join(f"{each.median:.2g} ({each.cell})" for each in others)
        against = f", against {behind}" if others else ""
        near = [each.cell for each in self.searches if each.median < variance / 10]
        return (
            f"The network {best.cell} comes nearest to the wave, with a median MSE of "
            f"{best.median:.2g}{against}.",
            f"A constant has {variance:.2g}; less than a tenth of that is reached by "
            f"{' and '.join(near) or 'no network'}.",
        )

    def draw(self, out: Path) -> None:
        figure = new_figure(10, 2.1 * len(self.searches) + 2.6)
        *waves, learning = figure.subplots(
            len(self.searches) + 1, 1, height_ratios=[*[2.1] * len(self.searches), 2.6]
        )
        for n, (search, axes) in enumerate(zip(self.searches, waves, strict=True)):
            axes.plot(self.target, color="0.7", linewidth=3, label="target")
            axes.plot(search.wave, color=f"C{n}", linewidth=1.2, label=search.cell)
            axes.set(
                ylim=(-1.15, 1.15),
                title=f"{search.cell}, {search.parameters} parameters: MSE {search.median:.2g}",
            )
            axes.legend(fontsize="small", loc="upper right")
            learning.plot(
                search.course, color=f"C{n}", label=f"{search.cell}, rate {search.rate:g}"
            )
        waves[-1].set_xlabel("sample")
        plain_log_axis(learning)
        learning.set(xlabel="training step", ylabel="lowest MSE so far, median")
        learning.grid(alpha=0.3)
        learning.legend(fontsize="small")
        figure.supxlabel("\n".join(self.findings()), fontsize="small", wrap=True)
        save_figure(figure, out)

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "searches": [{**asdict(each), "median": each.median} for each in self.searches],
        }


def draw_wave(
    *,
    steps: int = 1000,
    seeds: int = 5,
    rates: Sequence[float] = RATES,
    samples: int = SAMPLES,
    seed: int = 0,
    threads: int = 0,
    on_progress: ShowProgress = silent,
) -> ClockworkOutcome:
    """Train each network at every learning rate from every seed, for equal steps.

    The lowest MSE of each trial counts, because momentum may overshoot it.

    Args:
        steps: training steps, each on the whole waveform.
        seeds: number of seeds at each learning rate.
        rates: learning rates.
        samples: length of the waveform.
        seed: the first seed.
        threads: CPU threads; 0: torch's choice.
        on_progress: called with the progress.
    """
    wave = make_wave(samples)
    searches, threads_before = [], torch.get_num_threads()
    with cpu_threads(threads):
        for n, cell in enumerate(NETWORKS):

            def on_step(step: int, cell: str = cell, before: int = n * steps) -> None:
                with cpu_threads(threads_before):
                    on_progress(cell, before + step, len(NETWORKS) * steps)

            searches.append(_search(cell, wave, steps, seeds, rates, seed, on_step))
    return ClockworkOutcome(steps, tuple(wave.tolist()), tuple(searches))


def _search(
    cell: str,
    wave: Tensor,
    steps: int,
    seeds: int,
    rates: Sequence[float],
    seed: int,
    on_step: Callable[[int], None],
) -> Search:
    network = largest(cell)
    trials = [(rate, seed + number) for rate in rates for number in range(seeds)]
    learnt = learn_wave(network, wave, trials, steps, on_step)
    shape = (len(rates), seeds)
    lowest = torch.unflatten(learnt.errors.cummin(dim=0).values, 1, shape)
    best = int(lowest[-1].median(dim=1).values.argmin())
    course, (_, middle) = lowest[:, best].median(dim=1).values, lowest[-1, best].median(dim=0)
    return Search(
        cell=cell,
        units=network.cell.hidden_size,
        parameters=network.size,
        errors={rate: tuple(row) for rate, row in zip(rates, lowest[-1].tolist(), strict=True)},
        rate=rates[best],
        course=tuple(course.tolist()),
        wave=tuple(torch.unflatten(learnt.waves, 0, shape)[best, middle].tolist()),
    )


def largest(cell: str) -> WaveNetwork:
    """Return the widest network with at most ``PARAMETERS`` parameters."""
    units = 1
    while WaveNetwork(cell, units + 1, **NETWORKS[cell]).size <= PARAMETERS:
        units += 1
    return WaveNetwork(cell, units, **NETWORKS[cell])
