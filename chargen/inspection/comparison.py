"""Comparison of runs: figures, curves, and the options in which they differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chargen.evaluation.scores import NATS_TO_BITS
from chargen.inspection.plots import AXES
from chargen.runs.config import RunConfig
from chargen.runs.finding import distinct_names
from chargen.runs.folder import RunFolder
from chargen.runs.history import History, history_of_run
from chargen.runs.metrics import read_metrics

Points = tuple[tuple[float, float], ...]
"""Points of a curve: pairs of steps or minutes and a value."""


@dataclass(frozen=True)
class ComparedRun:
    """A run to compare.

    Attributes:
        name: name of its folder, or its path if several share that name.
        path: path of its folder.
        config: its configuration.
        parameters: number of parameters of the network.
        history: the course of its training.
        lines: its metrics.
    """

    name: str
    path: Path
    config: RunConfig
    parameters: int
    history: History
    lines: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, path: Path, name: str) -> ComparedRun:
        folder = RunFolder(path)
        config, lines = folder.read_config(), read_metrics(path)
        parameters = sum(folder.parameters_by_part(config).values())
        return cls(name, path, config, parameters, history_of_run(path, lines), tuple(lines))

    def validation(self, over: str) -> Points:
        """Return bits per character of each evaluation."""
        return self._points("evaluation", "bits_per_char", over, 1.0)

    def training(self, over: str) -> Points:
        """Return bits per piece of each record of the training loss."""
        return self._points("step", "loss", over, NATS_TO_BITS)

    def _points(self, event: str, value: str, over: str, scale: float) -> Points:
        key, unit = AXES[over]
        lines = (line for line in self.lines if line["event"] == event)
        return tuple(
            (line[key] * unit, line[value] * scale) for line in lines if line[value] is not None
        )

    @property
    def measured(self) -> int:
        """Characters that each evaluation scored; 0 if there was none."""
        return max((e["characters"] for e in self.lines if e["event"] == "evaluation"), default=0)

    def options(self) -> dict[str, Any]:
        """Return all options of the run."""
        config, origin = self.config, self.config.init_from
        return {
            "preset": config.preset,
            **config.model.to_dict(),
            **config.training.to_dict(),
            **config.corpus.settings.to_dict(),  # last: its vocab_size is the option
            "init_from": origin and f"{origin.name} ({origin.weights_sha256[:8]})",
            "average_of": ", ".join(run.name for run in config.averaged) or None,
        }

    def to_dict(self) -> dict[str, Any]:
        history = self.history
        return {
            "name": self.name,
            "path": str(self.path),
            **{name: getattr(self.config.model, name) for name in _SHAPE},
            "parameters": self.parameters,
            "train_characters": self.config.corpus.train_characters,
            "measured_characters": self.measured,
            "last_bits_per_char": history.last_bits_per_char,
            **asdict(history),
        }


_SHAPE = ("cell", "num_layers", "hidden_size", "embedding_size", "tie_weights", "vocab_size")


@dataclass(frozen=True)
class Comparison:
    """Runs in the order in which they were named."""

    runs: tuple[ComparedRun, ...]

    def __repr__(self) -> str:
        best = (
            f"{run.name} {'–' if bits is None else f'{bits:.3f}'}"
            for run in self.runs
            for bits in [run.history.best_bits_per_char]
        )
        return f"<Comparison, best {self.unit}: {', '.join(best)}>"

    @property
    def unit(self) -> str:
        """What the runs' figures are in; where they differ, ``bits``."""
        units = {run.config.model.unit for run in self.runs}
        return units.pop() if len(units) == 1 else "bits"

    @cached_property
    def differing(self) -> dict[str, tuple[Any, ...]]:
        """The options in which the runs differ, with the value of each run."""
        options = [run.options() for run in self.runs]
        columns = {name: tuple(each[name] for each in options) for name in options[0]}
        return {name: values for name, values in columns.items() if len(set(values)) > 1}

    @cached_property
    def incomparable(self) -> tuple[str, ...]:
        """The reasons why figures can't be compared, one line each; empty if they can."""
        found = []
        if self._differ(lambda run: tuple(text.sha256 for text in run.config.corpus.sources)):
            texts = "; ".join(
                f"{run.name}: {', '.join(text.name for text in run.config.corpus.sources)}"
                for run in self.runs
            )
            found.append(f"The runs were trained on different texts ({texts})")
        elif self._differ(_reading):
            found.append("The runs decoded or converted their text in different ways")
        elif self._differ(lambda run: run.config.model.unit):
            units = "; ".join(f"{run.name}: {run.config.model.unit}" for run in self.runs)
            found.append(f"The runs have learnt different tasks ({units})")
        elif self._differ(_measured, [run for run in self.runs if run.measured]):
            parts = "; ".join(f"{run.name}: {run.measured:,} characters" for run in self.runs)
            found.append(f"The runs were evaluated on different parts of the text ({parts})")
        if self._differ(lambda run: run.config.model.task):
            tasks = "; ".join(f"{run.name}: {run.config.model.task}" for run in self.runs)
            found.append(f"The runs learn different tasks ({tasks})")
        return tuple(f"{line}: their figures can't be compared." for line in found)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Caveats about the figures, one line each."""
        recorded = [run for run in self.runs if run.lines]
        lacks = ("record of its training", "evaluation, only a training loss")
        unmeasured = [run for run in self.runs if not run.measured]
        found = [f"{run.name} has no {lacks[bool(run.lines)]}." for run in unmeasured]
        if any(run.lines for run in unmeasured) and self._differ(
            lambda run: run.config.tokenizer_sha256
        ):
            found.append("Training losses are per piece, and the runs have different vocabularies.")
        by_loss = any(len(run.history.evaluations) < 2 for run in recorded)  # as curves are
        if by_loss and self._differ(lambda run: run.config.model.ngram_order > 0, recorded):
            counted = ", ".join(run.name for run in recorded if run.config.model.ngram_order)
            found.append(
                f"The training loss of a run with n-gram counts ({counted}) is the mean with and "
                "without them, and doesn't compare with that of a run that has none."
            )
        return tuple(found)

    def _differ(
        self, what: Callable[[ComparedRun], Hashable], runs: Sequence[ComparedRun] | None = None
    ) -> bool:
        return len({what(run) for run in (self.runs if runs is None else runs)}) > 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "comparable": not self.incomparable,
            "incomparable": list(self.incomparable),
            "notes": list(self.notes),
            "differing": {name: list(values) for name, values in self.differing.items()},
            "runs": [run.to_dict() for run in self.runs],
        }


def _reading(run: ComparedRun) -> Hashable:
    """Return the settings that decide, besides the files, which characters a run's text has."""
    settings = run.config.corpus.settings
    return settings.encoding, settings.errors, settings.convert


def _measured(run: ComparedRun) -> Hashable:
    """Return the figures that decide which characters of the text a run was evaluated on."""
    corpus = run.config.corpus
    return corpus.characters, corpus.val_characters, run.measured


def compare_runs(paths: Sequence[Path]) -> Comparison:
    """Read runs in order to compare them.

    Raises:
        CheckpointError: a run is missing or damaged.
    """
    names = distinct_names(paths)
    return Comparison(
        tuple(ComparedRun.read(path, name) for path, name in zip(paths, names, strict=True))
    )
