"""Runs of one text as one run, whose logits are the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence
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
from chargen.machine.devices import resolve_device
from chargen.network.averaging import averaged
from chargen.options import ModelConfig
from chargen.runs.config import Origin, RunConfig
from chargen.runs.content import Content, Weights
from chargen.runs.finding import distinct_names, name_of
from chargen.runs.folder import RunFolder
from chargen.runs.loaded import LoadedModel
from chargen.runs.places import Places
from chargen.training.counts import Counts
from chargen.training.material import material_of
from chargen.training.room import require_room
from chargen.training.state import TrainingState

_REMEDY = "Average runs of one text that differ in their seed alone."


@dataclass(frozen=True)
class AveragedRun:
    """A run that is the average of others.

    Attributes:
        path: its folder.
        bits_per_char: on the validation split; None: not measured.
        runs: what it is the average of: names, with their bits per character.
        note: why it wasn't measured, or None.
    """

    path: Path
    bits_per_char: float | None
    runs: dict[str, float | None]
    note: str | None = None

    def __repr__(self) -> str:
        bits = self.bits_per_char
        scored = "" if bits is None else f", {bits:.3f} bits per character"
        return f"<AveragedRun {self.path}: of {len(self.runs)} runs{scored}>"

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": printable(str(self.path)),
            "bits_per_char": self.bits_per_char,
            "runs": self.runs,
            "note": self.note,
        }


def average_runs(runs: Sequence[Path], runs_dir: Path, name: str | None) -> AveragedRun:
    """Make a run in ``runs_dir`` that is the average of others.

    Its gate is set right on the validation split, as in training, if its corpus is still there.

    Args:
        runs: their folders.
        runs_dir: where it is made.
        name: of it; None: that of the text, with a number.

    Raises:
        CheckpointError: a run can't be read, has learnt another task, or isn't like the others; or
            the name is taken.
        ConfigError: fewer than two runs, one that is named twice, or too little memory.
    """
    loaded = [RunFolder(run).load_model() for run in runs]
    _check_alike(loaded)
    first = loaded[0]
    network = averaged([each.model for each in loaded])
    config = replace(
        first.config,
        model=network.config,
        chargen_version=__version__,
        init_from=None,
        averaged=tuple(Origin(name_of(each.path), each.weights_sha256) for each in loaded),
    )
    device = resolve_device(config.training.device)
    require_room(config.model, config.training, config.recipe, device)
    state = TrainingState(config, device)
    state.model.load_state_dict(network.state_dict())
    corpus, note = _corpus_of(first)
    bits = None
    if corpus is not None:
        material = material_of(config, corpus, Counts(first.ngram))
        bits = material.score(state).bits_per_char if material.val_characters else None
    with state.calibrated():
        tensors = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    weights = Weights(tensors, max(each.step for each in loaded), bits)
    places = Places(None if corpus is None else corpus.path)
    content = Content(config, first.tokenizer, places, ngram=first.ngram, weights=weights)
    path = _written(runs_dir, name, config, content)
    names = distinct_names([each.path for each in loaded])
    parts = {n: each.bits_per_char for n, each in zip(names, loaded, strict=True)}
    return AveragedRun(path, bits, parts, note)


def _check_alike(runs: Sequence[LoadedModel]) -> None:
    """Raise an error where runs can't be averaged."""
    first = runs[0]
    if len({each.weights_sha256 for each in runs}) < max(len(runs), 2):
        raise ConfigError("An average is that of two or more different runs.", _REMEDY)
    for each in runs:
        if each.config.averaged:
            raise CheckpointError(
                f"{each.path} is an average itself.", "Name the runs that it was made of."
            )
    for cell in first.model.cells:
        if not cell.stands_side_by_side:
            raise ConfigError(
                f"Several cells of the kind {type(cell).__name__.removeprefix('Fast').lower()} "
                "don't make one of that kind.",
                "Average runs of another cell.",
            )
    for each in runs[1:]:
        if problem := _difference(first, each):
            raise CheckpointError(f"{each.path} and {first.path} {problem}.", _REMEDY)


def _difference(a: LoadedModel, b: LoadedModel) -> str | None:
    """How runs differ that can't be averaged; None: they can."""
    one, other = a.model.config, b.model.config
    for field in fields(ModelConfig):
        values = getattr(one, field.name), getattr(other, field.name)
        if values[0] != values[1]:
            return f"differ in {field.name}: {values[1]} and {values[0]}"
    if a.config.tokenizer_sha256 != b.config.tokenizer_sha256:
        return "have different vocabularies"
    if a.ngram_sha256 != b.ngram_sha256:
        return "have different n-gram counts"
    if a.config.corpus.labels != b.config.corpus.labels:
        return "have different labels"
    return None


def _corpus_of(run: LoadedModel) -> tuple[PreparedCorpus | None, str | None]:
    """The corpus of a run, or why it can't be read."""
    place = RunFolder(run.path).read_places().corpus
    if place is None:
        return None, f"{run.path} doesn't say where its corpus is"
    try:
        corpus = PreparedCorpus.open(place)
    except CorpusError as error:
        return None, error.message.removesuffix(".")
    if not run.config.corpus.is_of(corpus.manifest):
        return None, f"{corpus.path} holds another corpus now"
    return corpus, None


def _written(runs_dir: Path, name: str | None, config: RunConfig, content: Content) -> Path:
    try:
        if name is not None:
            return RunFolder.create(runs_dir / name, content).path
        stem = f"{config.corpus.name}-average"
        return RunFolder.create_numbered(runs_dir, stem, content).path
    except OSError as error:
        raise CheckpointError(
            f"The run folder can't be made: {system_error_text(error)}.",
            "Choose another `runs_dir`, or correct the permissions.",
        ) from error
