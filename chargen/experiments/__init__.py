"""Experiments that a reader can repeat with one command, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ExperimentEntry:
    """Where an experiment lives, and what it asks.

    ``module`` has a function ``run(*, steps, seed)`` that returns an ``Outcome``.
    """

    module: str
    summary: str


EXPERIMENTS: Mapping[str, ExperimentEntry] = MappingProxyType(
    {
        "waveform": ExperimentEntry(
            "chargen.experiments.waveform",
            "how well a clockwork, an LSTM and a simple network of equal size learn to draw a wave",
        ),
    }
)
