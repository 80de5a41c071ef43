"""Summary of a run folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import ChargenError, CheckpointError, printable
from chargen.runs.config import RunConfig
from chargen.runs.folder import RunFolder
from chargen.runs.history import History, history_of
from chargen.runs.layout import MODEL, NGRAM
from chargen.runs.metrics import read_metrics


@dataclass(frozen=True)
class RunSummary:
    """The contents and the state of a run folder.

    Attributes:
        path: path of the folder.
        config: its configuration, from ``config.json``.
        parameters: number of parameters in each part of the network.
        shapes: of the matrices and vectors of each part, by the names of the equations.
        history: the course of its training.
        step_of_best: the training step of the weights that sampling uses.
        weights_sha256: SHA-256 of these weights.
        bits_per_char: of them on the validation split; None: not measured, or not known.
        ngram: order, number of n-grams and bytes of its counts, or None.
        problems: what is wrong with its files, one line each.
        notes: problems that don't affect sampling, such as a missing corpus, one line each.
    """

    path: Path
    config: RunConfig
    parameters: dict[str, int]
    shapes: dict[str, dict[str, tuple[int, ...]]]
    history: History
    step_of_best: int | None
    weights_sha256: str | None
    bits_per_char: float | None
    ngram: dict[str, int] | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        model, best = self.config.model, self.bits_per_char
        bits = "" if best is None else f", best {best:.3f} {model.unit}"
        files = "files intact" if not self.problems else f"{len(self.problems)} problems"
        return (
            f"<RunSummary {self.path}: {model.num_layers} × {model.cell} of {model.hidden_size} "
            f"units, {self.history.steps:,} steps{bits}, {files}>"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "run",
            "path": printable(str(self.path)),
            **self.config.to_dict(),
            "parameters": self.parameters,
            "parameters_total": sum(self.parameters.values()),
            "shapes": self.shapes,
            "history": asdict(self.history),
            "step_of_best": self.step_of_best,
            "weights_sha256": self.weights_sha256,
            "bits_per_char": self.bits_per_char,
            "ngram": self.ngram,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


def summarise_run(path: Path, *, ngram: bool = True) -> RunSummary:
    """Read a run and verify each of its files; with ``ngram=False``, all but its counts.

    Raises:
        CheckpointError: its config can't be read; other damage is listed in ``problems``.
    """
    folder = RunFolder(path)
    config = folder.read_config()
    problems = folder.verify(ngram=ngram)
    step, sha256, bits, counts = None, None, None, None
    if not problems:
        loaded = folder.load_model(ngram=ngram)
        step, sha256, bits = loaded.step, loaded.weights_sha256, loaded.bits_per_char
        if loaded.ngram is not None:
            entries, size = int(loaded.ngram.trie.levels[-1]), (path / NGRAM).stat().st_size
            counts = {"order": loaded.ngram.order, "ngrams": entries, "bytes": size}
    try:
        lines = read_metrics(path)
    except CheckpointError as error:
        problems.append(error.message)
        lines = []
    history = history_of(lines)
    scored = ngram or not config.model.ngram_order  # the scores are those of network and counts
    if bits is None and scored:
        bits = history.best_bits_per_char
    return RunSummary(
        path=path,
        config=config,
        parameters=folder.parameters_by_part(config),
        shapes=folder.shapes_by_part(config),
        history=history,
        step_of_best=step if (path / MODEL).exists() else None,
        weights_sha256=sha256,
        bits_per_char=bits,
        ngram=counts,
        problems=tuple(problems),
        notes=tuple(_notes_on_corpus(folder, config)),
    )


def _notes_on_corpus(folder: RunFolder, config: RunConfig) -> list[str]:
    """Describe problems with the corpus, which resuming needs and sampling doesn't."""
    try:
        place = folder.read_places().corpus
        if place is None:
            return [
                f"Resuming needs the corpus {config.corpus.name}; the run doesn't record where it "
                "is."
            ]
        corpus = PreparedCorpus.open(place)
    except ChargenError as error:
        return [f"Resuming needs the corpus, which can't be read: {error.message}"]
    if not config.corpus.is_of(corpus.manifest):
        return [f"Resuming needs the corpus, but {corpus.path} now holds a different one."]
    return []
