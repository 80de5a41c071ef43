"""The runs of a folder, a line each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chargen.errors import CheckpointError, printable
from chargen.runs.finding import is_finished, name_of, runs_in
from chargen.runs.folder import RunFolder
from chargen.runs.history import history_of_run
from chargen.runs.metrics import read_metrics


@dataclass(frozen=True)
class RunEntry:
    """A run in a listing.

    Attributes:
        name: of the run.
        path: of its folder.
        text: what it learns; None where the run can't be read.
        network: its cell, layers and units.
        parameters: number of parameters.
        steps: training steps made; of an exported run, those before its weights.
        minutes: of training.
        bits_per_char: the lowest on the validation split; None: not measured.
        finished: whether its training has come to its end.
        problem: why it can't be read, or None.
    """

    name: str
    path: Path
    text: str | None = None
    network: str | None = None
    parameters: int = 0
    steps: int = 0
    minutes: float = 0.0
    bits_per_char: float | None = None
    finished: bool = False
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "path": printable(str(self.path))}


def list_runs(folder: Path) -> list[RunEntry]:
    """List the runs in a folder, the newest first.

    Raises:
        CheckpointError: the folder can't be listed.
    """
    return [_entry(path) for path in runs_in(folder)]


def _entry(path: Path) -> RunEntry:
    run, name = RunFolder(path), name_of(path)
    try:
        config = run.read_config()
        lines = read_metrics(path)
        parameters = sum(run.parameters_by_part(config).values())
    except CheckpointError as error:
        return RunEntry(name, path, problem=error.message)
    history, model = history_of_run(path, lines), config.model
    layers = "" if model.num_layers == 1 else f"{model.num_layers} × "
    return RunEntry(
        name=name,
        path=path,
        text=config.corpus.name,
        network=f"{model.cell} {layers}{model.hidden_size}",
        parameters=parameters,
        steps=history.steps,
        minutes=history.seconds / 60,
        bits_per_char=history.best_bits_per_char,
        finished=is_finished(path),
    )
