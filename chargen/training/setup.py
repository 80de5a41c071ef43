"""From options to a run folder: a new one, or one that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from chargen import __version__
from chargen.config import CorpusConfig, ModelConfig, TrainConfig
from chargen.corpus.prepared import PreparedCorpus, piece_counts
from chargen.corpus.reading import find_sources
from chargen.corpus.windows import fit
from chargen.errors import CheckpointError
from chargen.files import sha256_of
from chargen.runs.folder import CorpusRecord, LoadedModel, RunConfig, RunFolder
from chargen.training.configs import resumed_config

_UNLIKE = 0.05
"""The share of unknown pieces from which on a validation split is not like its text."""


@dataclass(frozen=True)
class Plan:
    """What a run is to be trained with.

    Attributes:
        config: of the run.
        corpus: what it learns from.
        notes: what was adapted to the corpus, one line each.
        source: a run whose weights are the initial ones, or None.
    """

    config: RunConfig
    corpus: PreparedCorpus
    notes: tuple[str, ...] = ()
    source: LoadedModel | None = None


@dataclass(frozen=True)
class PreparedRun:
    """A run folder on disk, its config as written there, and the rest of its plan."""

    folder: RunFolder
    config: RunConfig
    corpus: PreparedCorpus
    notes: tuple[str, ...] = ()
    source: LoadedModel | None = None


def plan_run(
    corpus: PreparedCorpus,
    preset_name: str,
    model: ModelConfig,
    training: TrainConfig,
    source: LoadedModel | None = None,
) -> Plan:
    """A run's config; batch and window shrink where the text is too short for them."""
    batch, window = fit(len(corpus.train), training.batch_size, training.seq_length)
    asked, shrunk = {}, []
    if batch != training.batch_size:
        asked["batch_size"] = training.batch_size
        shrunk.append(f"batch {batch} instead of {training.batch_size}")
    if window != training.seq_length:
        asked["seq_length"] = training.seq_length
        shrunk.append(f"windows of {window} instead of {training.seq_length}")
    notes = [*corpus.manifest.warnings, *_note_on_validation(corpus)]
    if shrunk:
        notes.append(f"The text is short: {', '.join(shrunk)}.")
    config = RunConfig(
        model=replace(model, vocab_size=corpus.tokenizer.size),
        training=replace(
            training,
            batch_size=batch,
            seq_length=window,
            threads=training.threads or torch.get_num_threads(),
        ),
        corpus=describe(corpus),
        tokenizer_sha256=corpus.tokenizer.sha256,
        preset=preset_name,
        chargen_version=__version__,
        init_from=None if source is None else _origin(source),
        asked=asked,
    )
    return Plan(config, corpus, tuple(notes), source)


def _note_on_validation(corpus: PreparedCorpus) -> list[str]:
    """Whether the end of the text, kept for validation, is in another script than the rest."""
    if not len(corpus.val):
        return []
    size = corpus.tokenizer.size
    unknown = piece_counts(corpus.train, size) == 0
    share = piece_counts(corpus.val, size)[unknown].sum() / len(corpus.val)
    if share < _UNLIKE:
        return []
    return [
        f"{share:.0%} of the validation split, the end of the text, occur nowhere in what is "
        "learnt from: what is measured there tells little. Put a typical part last, or keep none "
        "(--val-frac 0)."
    ]


def create_run(path: Path, plan: Plan) -> PreparedRun:
    """Write a new run folder."""
    folder = RunFolder.create(path, plan.config, plan.corpus.tokenizer)
    return PreparedRun(folder, plan.config, plan.corpus, plan.notes, plan.source)


def _origin(source: LoadedModel) -> dict[str, str]:
    return {"path": str(source.path.resolve()), "weights_sha256": source.weights_sha256}


def _source_again(config: RunConfig) -> LoadedModel | None:
    """The run that the initial weights come from; CheckpointError if it isn't what it was."""
    if config.init_from is None:
        return None
    source = RunFolder(Path(config.init_from["path"])).load_model()
    if _origin(source) != dict(config.init_from):
        raise CheckpointError(
            f"The run to begin from, {source.path}, has other weights than when this run was made.",
            "Train under a new --name.",
        )
    return source


def describe(corpus: PreparedCorpus) -> CorpusRecord:
    """What a run's config says of its corpus."""
    manifest = corpus.manifest
    return CorpusRecord(
        path=str(corpus.path.resolve()),
        sources={source.path: source.sha256 for source in manifest.sources},
        settings=manifest.config,
        files=dict(manifest.files),
        characters=manifest.characters,
        train_characters=manifest.train.characters,
        val_characters=manifest.val.characters,
    )


def reopen_run(
    folder: RunFolder, config: RunConfig, corpus: PreparedCorpus, options: Mapping[str, Any]
) -> PreparedRun:
    """Go on with a run, perhaps under a new budget.

    Raises:
        CheckpointError: the corpus is not the one that the run was trained on.
    """
    _check_same_corpus(config, corpus)
    config = resumed_config(config, options)
    source = _source_again(config) if folder.last_step() < 0 else None
    return PreparedRun(folder, config, corpus, source=source)


def check_same_settings(config: RunConfig, settings: CorpusConfig) -> None:
    """Raise CheckpointError where a run's corpus was made with other settings."""
    if settings != config.corpus.settings:
        _refuse(config, config.corpus.sources, settings)


def check_same_sources(config: RunConfig, paths: Sequence[Path]) -> None:
    """Whether texts are those that a run was trained on, before anything is made of them.

    Raises:
        CheckpointError: names what differs.
        CorpusError: a text can't be read.
    """
    sources = {str(path): sha256_of(path) for path in find_sources(paths)}
    if list(sources.values()) != list(config.corpus.sources.values()):
        _refuse(config, sources, config.corpus.settings)


def _check_same_corpus(config: RunConfig, corpus: PreparedCorpus) -> None:
    if not config.corpus.is_of(corpus.manifest):
        now = describe(corpus)
        _refuse(config, now.sources, now.settings)


def _refuse(config: RunConfig, sources: Mapping[str, str], settings: CorpusConfig) -> NoReturn:
    """Raise the error that names how a corpus differs from the one of a run."""
    known = config.corpus.sources
    names = [name for name, sha in known.items() if sha not in sources.values()]
    names += [name for name, sha in sources.items() if sha not in known.values()]
    what = [f"{name} differs" for name in dict.fromkeys(names)]
    then = config.corpus.settings.to_dict()
    what += [
        f"{name} was {then[name]} and is now {value}"
        for name, value in settings.to_dict().items()
        if then[name] != value
    ]
    raise CheckpointError(
        f"The corpus changed since this run began: {'; '.join(what) or 'its files differ'}.",
        "Bring the old text back, or train under a new --name (with --init-from this run).",
    )


def free_name(out_dir: Path, stem: str) -> str:
    """``stem`` with the lowest number that no run in ``out_dir`` has."""
    number = 1
    while (out_dir / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"
