"""What a run folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import ChargenError, CheckpointError
from chargen.network.model import CharModel
from chargen.runs.folder import MODEL, RunConfig, RunFolder
from chargen.runs.metrics import read_metrics


@dataclass(frozen=True)
class History:
    """How a run went, from its metrics.

    Attributes:
        steps: made so far.
        seconds: of training so far.
        reason: why it ended last; None: it never came to an end.
        loss: nats a piece, at the last record.
        chars_per_second: while it trained, the median of the records.
        evaluations: (step, bits per character) of each.
        best_bits_per_char: the lowest of them.
    """

    steps: int
    seconds: float
    reason: str | None
    loss: float | None
    chars_per_second: float | None
    evaluations: tuple[tuple[int, float], ...]
    best_bits_per_char: float | None

    @property
    def last_bits_per_char(self) -> float | None:
        """Of the last evaluation."""
        return self.evaluations[-1][1] if self.evaluations else None


@dataclass(frozen=True)
class RunSummary:
    """A run folder.

    Attributes:
        path: of the folder.
        config: what ``config.json`` says.
        parameters: numbers in each part of the network.
        history: how training went.
        step_of_best: the training step of the weights that sampling uses.
        weights_sha256: identifies them.
        problems: files that don't verify, one line each.
        notes: what else to know; a run can be sampled from without its corpus.
    """

    path: Path
    config: RunConfig
    parameters: dict[str, int]
    history: History
    step_of_best: int | None
    weights_sha256: str | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "run",
            "path": str(self.path),
            **self.config.to_dict(),
            "parameters": self.parameters,
            "parameters_total": sum(self.parameters.values()),
            "history": asdict(self.history),
            "step_of_best": self.step_of_best,
            "weights_sha256": self.weights_sha256,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


def summarise_run(path: Path) -> RunSummary:
    """Read a run and verify every file of it.

    Raises:
        CheckpointError: its config can't be read; other damage is listed in ``problems``.
    """
    folder = RunFolder(path)
    config = folder.read_config()
    problems = folder.verify()
    step, sha256 = None, None
    if not problems:
        loaded = folder.load_model()
        step, sha256 = loaded.step, loaded.weights_sha256
    try:
        lines = read_metrics(folder.metrics)
    except CheckpointError as error:
        problems.append(error.message)
        lines = []
    return RunSummary(
        path=path,
        config=config,
        parameters=CharModel(config.model).parameters_by_part(),
        history=history_of(lines),
        step_of_best=step if (path / MODEL).exists() else None,
        weights_sha256=sha256,
        problems=tuple(problems),
        notes=tuple(_notes_on_corpus(config)),
    )


def _notes_on_corpus(config: RunConfig) -> list[str]:
    """Whether the corpus that a resume needs is still there; sampling doesn't need it."""
    try:
        corpus = PreparedCorpus.open(Path(config.corpus.path))
    except ChargenError as error:
        return [f"A resume needs the corpus, which is not as it was: {error.message}"]
    if not config.corpus.is_of(corpus.manifest):
        return [f"A resume needs the corpus, and {corpus.path} is another one now."]
    return []


def history_of(lines: Sequence[dict[str, Any]]) -> History:
    """How a run went, from the lines of its metrics."""
    evaluations = [
        (e["step"], e["bits_per_char"])
        for e in lines
        if e["event"] == "evaluation" and e["bits_per_char"] is not None
    ]
    steps = [e for e in lines if e["event"] == "step"]
    last = lines[-1] if lines else {}
    return History(
        steps=max((e["step"] for e in lines), default=0),
        seconds=max((e["seconds"] for e in lines), default=0.0),
        reason=last.get("reason"),
        loss=steps[-1]["loss"] if steps else None,
        chars_per_second=median(e["chars_per_second"] for e in steps) if steps else None,
        evaluations=tuple(evaluations),
        best_bits_per_char=min((bits for _, bits in evaluations), default=None),
    )
