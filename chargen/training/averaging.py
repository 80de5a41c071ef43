"""Runs of one text as one run, whose logits are the means of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from chargen import __version__
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import (
    CheckpointError,
    ConfigError,
    CorpusError,
    printable,
    system_error_text,
)
from chargen.evaluation.gate import Calibration, Evidence
from chargen.evaluation.scores import Score, head_of_text, score_characters
from chargen.evaluation.texts import score_records
from chargen.network.averaging import averaged
from chargen.network.model import CharModel
from chargen.options import ModelConfig
from chargen.runs import expected_tensors
from chargen.runs.config import Origin, RunConfig
from chargen.runs.content import Content, Weights
from chargen.runs.finding import distinct_names, is_finished, name_of, shown
from chargen.runs.folder import RunFolder
from chargen.runs.loaded import LoadedModel
from chargen.runs.places import Places
from chargen.training.gating import set_right

_REMEDY = "Average runs of one text that differ in their seed."
_COPIES = 4
"""The weights of the runs, those of the average, and these twice while they are written."""


@dataclass(frozen=True)
class AveragedRun:
    """A run that is the average of others.

    Attributes:
        path: its folder.
        bits_per_char: on the validation split; None: not measured.
        runs: what it is the average of: names, with their bits per character.
        notes: what the user should know of it, one line each.
    """

    path: Path
    bits_per_char: float | None
    runs: dict[str, float | None]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        bits = self.bits_per_char
        scored = "" if bits is None else f", {bits:.3f} bits per character"
        return f"<AveragedRun {self.path}: of {len(self.runs)} runs{scored}>"

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": printable(str(self.path)),
            "bits_per_char": self.bits_per_char,
            "runs": self.runs,
            "notes": list(self.notes),
        }


def average_runs(runs: Sequence[Path], runs_dir: Path, name: str | None) -> AveragedRun:
    """Make a run in ``runs_dir`` that is the average of others.

    Its gate is set right on the validation split, as in training, if the corpus is still there.

    Args:
        runs: their folders.
        runs_dir: where it is made.
        name: of it; None: that of the text, with a number.

    Raises:
        CheckpointError: a run can't be read, or isn't like the others; the name is taken; or there
            is too little memory.
        ConfigError: fewer than two runs.
    """
    _check_alike(runs)
    loaded = [RunFolder(run).load_model() for run in runs]
    _check_weights(loaded)
    first, network = loaded[0], averaged([each.model for each in loaded])
    corpus, problem = _corpus_of(runs)
    bits, calibration = None, Calibration()
    if corpus is not None:
        evidence = Evidence()
        score = _score(network, first, corpus, evidence)
        score, calibration = set_right(score, evidence, first.config.recipe.gate_worth)
        bits = score.bits_per_char
    with network.calibrated(calibration.scale, calibration.offset):
        tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    names = distinct_names(runs)
    content = Content(
        replace(
            first.config,
            model=network.config,
            chargen_version=__version__,
            averaged=tuple(Origin(name_of(each.path), each.weights_sha256) for each in loaded),
        ),
        first.tokenizer,
        Places(None if corpus is None else corpus.path),
        ngram=first.ngram,
        weights=Weights(tensors, max(each.step for each in loaded), bits),
    )
    parts = {name: each.bits_per_char for name, each in zip(names, loaded, strict=True)}
    notes = [] if problem is None else [f"The average wasn't measured: {problem}."]
    notes += _notes(runs, parts, bits)
    return AveragedRun(_written(runs_dir, name, content), bits, parts, tuple(notes))


def _check_alike(runs: Sequence[Path]) -> None:
    """Raise an error where runs can't be averaged, by what they record of themselves.

    Raises:
        CheckpointError: one can't be read, or differs from the others; or all of them, and their
            average, don't fit into memory.
        ConfigError: there are fewer than two.
    """
    if len(runs) < 2:
        raise ConfigError("An average is that of two or more runs.", _REMEDY)
    configs = [RunFolder(run).read_config() for run in runs]
    first = configs[0]
    for run, config in zip(runs, configs, strict=True):
        if config.averaged:
            raise CheckpointError(
                f"{shown(run)} is an average itself.", "Name the runs it was made of."
            )
        if problem := _difference(first, config):
            raise CheckpointError(f"{shown(run)} and {shown(runs[0])} {problem}.", _REMEDY)
    if not first.model.can_be_averaged():
        task = first.model.task
        what = f"of the cell {first.model.cell}" if task == "lm" else f"of the task {task}"
        raise CheckpointError(
            f"Networks {what} can't be averaged.", "Average language models of other cells."
        )
    model = replace(
        first.model,
        hidden_size=len(runs) * first.model.hidden_size,
        embedding_size=len(runs) * first.model.embedding_size,
    )
    outline = expected_tensors.outline(model, runs[0])
    expected_tensors.require_room(outline, _COPIES, f"the average of {len(runs)} runs")


def _difference(a: RunConfig, b: RunConfig) -> str | None:
    """How runs differ that can't be averaged; None: they can."""
    for field in fields(ModelConfig):
        values = getattr(a.model, field.name), getattr(b.model, field.name)
        if values[0] != values[1]:
            return f"differ in {field.name}: {values[1]} and {values[0]}"
    if a.tokenizer_sha256 != b.tokenizer_sha256:
        return "have different vocabularies"
    if dict(a.corpus.files) != dict(b.corpus.files):
        return "have learnt different texts, or have split them differently"
    return None


def _check_weights(runs: Sequence[LoadedModel]) -> None:
    """Raise CheckpointError where two runs are the same, or are mixed with other counts."""
    known: dict[str, Path] = {}
    for each in runs:
        other = known.setdefault(each.weights_sha256, each.path)
        if other is not each.path:
            raise CheckpointError(
                f"{shown(each.path)} and {shown(other)} have the same weights.", _REMEDY
            )
        if each.ngram_sha256 != runs[0].ngram_sha256:
            raise CheckpointError(
                f"{shown(each.path)} and {shown(runs[0].path)} have different n-gram counts.",
                _REMEDY,
            )


def _corpus_of(runs: Sequence[Path]) -> tuple[PreparedCorpus | None, str | None]:
    """The corpus of runs if it can be scored, or why it can't."""
    problem = None
    for run in runs:
        folder = RunFolder(run)
        place = folder.read_places().corpus
        try:
            corpus = None if place is None else PreparedCorpus.open(place)
        except CorpusError as error:
            problem = error.message.removesuffix(".")
            continue
        if corpus is not None and folder.read_config().corpus.is_of(corpus.manifest):
            if corpus.manifest.val.characters:
                return corpus, None
            return None, "the corpus has no validation split"
    return None, problem or "the runs don't say where their corpus is"


def _score(
    network: CharModel, run: LoadedModel, corpus: PreparedCorpus, evidence: Evidence
) -> Score:
    """Score the validation split as the training of ``run`` does."""
    tokenizer, ngram, config = run.tokenizer, run.ngram, run.config
    if config.model.records:
        labels, split = config.corpus.label_space, corpus.val_records
        v = labels.vectors(split.labels) if labels.size else None
        return score_records(network, tokenizer, split, v, ngram, evidence)
    val = head_of_text(tokenizer, corpus.val, config.recipe.evaluated_pieces)
    return score_characters(network, tokenizer, val, ngram=ngram, evidence=evidence).total()


def _notes(
    runs: Sequence[Path], parts: dict[str, float | None], bits: float | None
) -> Iterator[str]:
    """What should be known of an average: runs that haven't ended, one that is better alone."""
    for run in runs:
        if not is_finished(run):
            yield f"{shown(run)} has not been trained to its end."
    known = {name: own for name, own in parts.items() if own is not None}
    best = min(known, key=lambda name: known[name], default=None)
    if bits is not None and best is not None and known[best] < bits:
        yield f"{best} alone predicts better than the average."


def _written(runs_dir: Path, name: str | None, content: Content) -> Path:
    """Make the run, and return its folder."""
    try:
        if name is not None:
            return RunFolder.create(runs_dir / name, content).path
        stem = f"{content.config.corpus.name}-average"
        return RunFolder.create_numbered(runs_dir, stem, content).path
    except OSError as error:
        raise CheckpointError(
            f"The run folder can't be made: {system_error_text(error)}.",
            "Choose another `runs_dir`, or correct the permissions.",
        ) from error
