"""From options to configs; torch is not imported, so that what can't be is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from chargen.config import ModelConfig, TrainConfig, check
from chargen.corpus.windows import fit
from chargen.training.presets import (
    DEFAULT_PRESET,
    PRESETS,
    Extent,
    Preset,
    suited_model,
    suited_training,
)

if TYPE_CHECKING:
    from chargen.runs.folder import LoadedModel, RunConfig

_DEFAULTS = {name: getattr(TrainConfig, name) for name in ("optimizer", "batch_size", "seq_length")}
BUDGET = ("epochs", "max_steps", "max_minutes")
MAY_CHANGE = (
    *BUDGET,
    "patience",
    "eval_every",
    "sample_every",
    "save_every",
    "gradient_accumulation_steps",
    "threads",
    "device",
    "precision",
)
"""Options that a resumed run takes over from the command line; the others must be as recorded."""


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
    fixed = {**_DEFAULTS, **chosen.training, **given}
    if fixed["optimizer"] != "adamw":  # theirs is no decay, but a part of the gradient
        fixed.setdefault("weight_decay", 0.0)
    if chosen.suits:
        fixed = {**suited_training(extent, model.hidden_size, _fitted(fixed, extent)), **fixed}
    training = TrainConfig(**fixed)
    check(model, training, also=problems)
    return model, training


def _fitted(options: Mapping[str, Any], extent: Extent) -> dict[str, Any]:
    """The options with the batch and window that a text can fill; what can't be, is as it was."""
    batch, window = options["batch_size"], options["seq_length"]
    if min(batch, window) > 0 and extent.pieces > 1:
        batch, window = fit(extent.pieces, batch, window)
    return {**options, "batch_size": batch, "seq_length": window}


def _model_config(chosen: Preset, options: Mapping[str, Any], extent: Extent) -> ModelConfig:
    """The network; tied where that suits the vocabulary, was not chosen, and can be."""
    suited = suited_model(extent) if chosen.suits else {}
    model = ModelConfig(**{"vocab_size": extent.vocab_size, **suited, **chosen.model, **options})
    if model.tie_weights and "tie_weights" not in options and not model.can_tie():
        return replace(model, tie_weights=False)
    return model


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
    if options.get("patience") and not config.corpus.val_characters:
        fixed.append("patience needs a validation split, and the run has none")
    changes = {name: value for name, value in options.items() if name in MAY_CHANGE}
    total = config.total_steps
    if any(changes.get(name) not in (None, recorded[name]) for name in BUDGET):
        changes = {**dict.fromkeys(BUDGET), **changes}
        total = None
    training = replace(config.training, **changes)
    check(training, also=fixed)
    return replace(config, training=training, total_steps=total)
