"""From options to a run folder: a new one, or one that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from chargen import __version__
from chargen.checkpoint import LoadedModel, RunConfig, RunFolder
from chargen.config import ModelConfig, TrainConfig, check, preset
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.windows import fit
from chargen.errors import CheckpointError

BUDGET = ("epochs", "max_steps", "max_minutes")
MAY_CHANGE = (
    *BUDGET,
    "patience",
    "eval_every",
    "sample_every",
    "save_every",
    "threads",
    "device",
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
    *,
    source: LoadedModel | None = None,
    also: list[str] | None = None,
) -> tuple[ModelConfig, TrainConfig]:
    """The configs of a preset under explicit options; the vocabulary's size is still open.

    Raises:
        ConfigError: names all problems, with those in ``also``.
    """
    chosen = preset(preset_name)
    in_model = {f.name for f in fields(ModelConfig)}
    model_options = {k: v for k, v in options.items() if k in in_model}
    training = TrainConfig(
        **{**chosen.training, **{k: v for k, v in options.items() if k not in in_model}}
    )
    problems = list(also or [])
    if source is None:
        model = ModelConfig(**{"vocab_size": 1, **chosen.model, **model_options})
    else:
        model = replace(source.config.model, vocab_size=1)
        problems += [
            f"{name} is {value}, but the run to begin from has {getattr(model, name)}"
            for name, value in model_options.items()
            if getattr(model, name) != value
        ]
    check(model, training, also=problems)
    return model, training


def create_run(
    path: Path,
    corpus: PreparedCorpus,
    preset_name: str,
    model: ModelConfig,
    training: TrainConfig,
    source: LoadedModel | None = None,
) -> PreparedRun:
    """Write a new run folder; batch and window shrink where the text is too short for them."""
    notes = []
    batch, window = fit(len(corpus.train), training.batch_size, training.seq_length)
    if (batch, window) != (training.batch_size, training.seq_length):
        notes.append(
            f"The text is short: batch {batch} instead of {training.batch_size}, "
            f"windows of {window} instead of {training.seq_length}."
        )
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
    )
    folder = RunFolder.create(path, config, corpus.tokenizer)
    return PreparedRun(folder, config, corpus, tuple(notes), source)


def describe(corpus: PreparedCorpus) -> dict[str, Any]:
    """What a run's config says of its corpus: enough to recognise it."""
    manifest = corpus.manifest
    return {
        "path": str(corpus.path.resolve()),
        "sources": {source.path: source.sha256 for source in manifest.sources},
        "settings": manifest.config.to_dict(),
        "files": dict(manifest.files),
        "characters": manifest.characters,
        "train_characters": manifest.train.characters,
        "val_characters": manifest.val.characters,
    }


def reopen_run(
    folder: RunFolder, config: RunConfig, corpus: PreparedCorpus, options: Mapping[str, Any]
) -> PreparedRun:
    """Go on with a run, perhaps under a new budget.

    Raises:
        ConfigError: options that a resumed run can't change, all of them.
        CheckpointError: the corpus is not the one that the run was trained on.
    """
    _check_same_corpus(config, corpus)
    recorded = {**config.model.to_dict(), **config.training.to_dict()}
    fixed = [
        f"{name} is {value}, but the run was begun with {recorded[name]}"
        for name, value in options.items()
        if name not in MAY_CHANGE and recorded[name] != value
    ]
    changes = {name: value for name, value in options.items() if name in MAY_CHANGE}
    total = config.total_steps
    if any(changes.get(name) not in (None, recorded[name]) for name in BUDGET):
        changes = {**dict.fromkeys(BUDGET), **changes}
        total = None
    training = replace(config.training, **changes)
    check(training, also=fixed)
    config = replace(config, training=training, total_steps=total)
    return PreparedRun(folder, config, corpus)


def _check_same_corpus(config: RunConfig, corpus: PreparedCorpus) -> None:
    now, then = describe(corpus), config.corpus
    if now["files"] == then["files"]:
        return
    remedy = "Bring the old text back, or train under a new --name (with --init-from this run)."
    changed = [
        name
        for name in {**then["sources"], **now["sources"]}
        if then["sources"].get(name) != now["sources"].get(name)
    ]
    settings = [
        f"{name} {then['settings'].get(name)} is now {value}"
        for name, value in now["settings"].items()
        if then["settings"].get(name) != value
    ]
    what = "; ".join([*(f"{name} differs" for name in changed), *settings]) or "its files differ"
    raise CheckpointError(f"The corpus changed since this run began: {what}.", remedy)


def free_name(out_dir: Path, stem: str) -> str:
    """``stem`` with the lowest number that no run in ``out_dir`` has."""
    number = 1
    while (out_dir / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"
