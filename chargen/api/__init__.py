"""The public API, on which the command line is built: one function per command."""

from pathlib import Path

from chargen.api.averaging import average
from chargen.api.corpora import prepare, read_text
from chargen.api.exporting import export
from chargen.api.inspecting import (
    attention,
    compare,
    gradients,
    inspect,
    list_runs,
    load,
    neurons,
    plot,
)
from chargen.api.serving import serve
from chargen.api.sweeping import Sweep, sweep
from chargen.api.texts import batch, merge, novelty
from chargen.api.training import TrainedRun, find_lr, train

Source = str | Path
"""A file or a folder."""

__all__ = [
    "Sweep",
    "TrainedRun",
    "attention",
    "average",
    "batch",
    "compare",
    "export",
    "find_lr",
    "gradients",
    "inspect",
    "list_runs",
    "load",
    "merge",
    "neurons",
    "novelty",
    "plot",
    "prepare",
    "read_text",
    "serve",
    "sweep",
    "train",
]
