"""From options to a run folder: a new one, or one that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from chargen import __version__
from chargen.checkpoint import CorpusRecord, LoadedModel, RunConfig, RunFolder
from chargen.config import CorpusConfig, ModelConfig, TrainConfig, check
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.reading import find_sources
from chargen.corpus.windows import fit
from chargen.errors import CheckpointError
from chargen.files import sha256_of
from chargen.presets import (
    DEFAULT_PRESET,
    PRESETS,
    Extent,
    Preset,
    suited_model,
    suited_training,
)

BUDGET = ("epochs", "max_steps", "max_minutes")
MAY_CHANGE = (
    *BUDGET,
    "patience",
    "eval_every",
    "sample_every",
    "save_every",
    "threads",
    "device",
    "precision",
)
"""Options that a resumed run takes over from the command line; the others must be as recorded."""


@dataclass(frozen=True)
class PreparedRun:
    """A run folder and what it is to be trained with.

    Attributes:
        folder: on disk.
        config: as written there.
        corpus: what it learns from.
        notes: what was adapted to the corpus, one line each.
        source: a run whose weights are the initial ones, or None.
    """

    folder: RunFolder
    config: RunConfig
    corpus: PreparedCorpus
    notes: tuple[str, ...] = ()
    source: LoadedModel | None = None


def configs_of(
    preset_name: str,
    options: Mapping[str, Any],
    extent: Extent,
    *,
    source: LoadedModel | None = None,
    also: list[str] | None = None,
) -> tuple[ModelConfig, TrainConfig]:
    """The configs for a corpus: explicit options, else the preset, else what suits its extent.

    Args:
        preset_name: in ``PRESETS``.
        options: fields of ModelConfig and TrainConfig.
        extent: of the corpus.
        source: a run whose weights are the initial ones; then the network is its network.
        also: problems found elsewhere, to be reported with those found here.

    Raises:
        ConfigError: names all problems.
    """
    problems = list(also or [])
    if preset_name not in PRESETS:
        problems.append(f"preset is {preset_name!r}, not one of {', '.join(PRESETS)}")
    chosen = PRESETS.get(preset_name, PRESETS[DEFAULT_PRESET])
    in_model = {f.name for f in fields(ModelConfig)}
    model_options = {k: v for k, v in options.items() if k in in_model}
    if source is None:
        model = _model_config(chosen, model_options, extent)
    else:
        model = replace(source.config.model, vocab_size=extent.vocab_size)
        wanted = {**(chosen.model if preset_name != source.config.preset else {}), **model_options}
        problems += [
            f"{name} is {value}, but the run to begin from has {getattr(model, name)}"
            for name, value in wanted.items()
            if getattr(model, name) != value
        ]
    given = {k: v for k, v in options.items() if k not in in_model}
    rule = given.get("optimizer", TrainConfig.optimizer)
    suited = suited_training(extent, max(1, model.hidden_size), rule) if chosen.suits else {}
    training = TrainConfig(**{**suited, **chosen.training, **given})
    check(model, training, also=problems)
    return model, training


def _model_config(chosen: Preset, options: Mapping[str, Any], extent: Extent) -> ModelConfig:
    """The network; tied where that suits the vocabulary, was not chosen, and can be."""
    suited = suited_model(extent) if chosen.suits else {}
    model = ModelConfig(**{"vocab_size": extent.vocab_size, **suited, **chosen.model, **options})
    if model.tie_weights and "tie_weights" not in options and not model.can_tie():
        return replace(model, tie_weights=False)
    return model


def create_run(
    path: Path,
    corpus: PreparedCorpus,
    preset_name: str,
    model: ModelConfig,
    training: TrainConfig,
    source: LoadedModel | None = None,
) -> PreparedRun:
    """Write a new run folder; batch and window shrink where the text is too short for them."""
    batch, window = fit(len(corpus.train), training.batch_size, training.seq_length)
    asked, shrunk = {}, []
    if batch != training.batch_size:
        asked["batch_size"] = training.batch_size
        shrunk.append(f"batch {batch} instead of {training.batch_size}")
    if window != training.seq_length:
        asked["seq_length"] = training.seq_length
        shrunk.append(f"windows of {window} instead of {training.seq_length}")
    notes = [*corpus.manifest.warnings]
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
    folder = RunFolder.create(path, config, corpus.tokenizer)
    return PreparedRun(folder, config, corpus, tuple(notes), source)


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


def resumed_config(config: RunConfig, options: Mapping[str, Any]) -> RunConfig:
    """The config of a run that goes on under ``options``, ``preset`` among them.

    Raises:
        ConfigError: options that a resumed run can't change, all of them.
    """
    recorded = {**config.model.to_dict(), **config.training.to_dict(), "preset": config.preset}
    fixed = [
        f"{name} is {value}, but the run was begun with {recorded[name]}"
        for name, value in options.items()
        if name not in MAY_CHANGE and value not in (recorded[name], config.asked.get(name))
    ]
    changes = {name: value for name, value in options.items() if name in MAY_CHANGE}
    total = config.total_steps
    if any(changes.get(name) not in (None, recorded[name]) for name in BUDGET):
        changes = {**dict.fromkeys(BUDGET), **changes}
        total = None
    training = replace(config.training, **changes)
    check(training, also=fixed)
    return replace(config, training=training, total_steps=total)


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
