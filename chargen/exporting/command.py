"""The commands that a card shows: how a run was trained, and how its sample was drawn."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from chargen.options import (
    BUDGETS,
    BatchConfig,
    Config,
    CorpusConfig,
    ModelConfig,
    Recipe,
    SamplingConfig,
    TrainConfig,
)
from chargen.options.training import MACHINE
from chargen.runs.config import RunConfig
from chargen.training.extent import Extent
from chargen.training.presets import PRESETS, choose_model, choose_training

SEED = 0
_SHAPED_BY = ("cell", "task")
_ADAPTED_TO = ("batch_size", "seq_length", "optimizer")
"""Options of the network, and of training, to which others are adapted."""


def sample_command(wanted: SamplingConfig) -> str:
    """The command line that draws the sample from the folder that it is called in."""
    seed = BatchConfig.entries()["seed"].flags[0]
    words = ["chargen", "sample", ".", *differing(wanted, SamplingConfig()), seed, str(SEED)]
    return shlex.join(words)


def training_command(config: RunConfig) -> str:
    """The command line that trains such a run, with the options that differ from today's defaults.

    What the machine decides, such as the number of threads, is left out. Of an average they are
    those that train the first of its runs, and average them.
    """
    if config.averaged:
        average = shlex.join(["chargen", "average", *(run.name for run in config.averaged)])
        return f"{training_command(config.one_of_averaged)}  # and with other seeds\n{average}"
    corpus = config.corpus
    model, training = _usual(config)
    budget = config.total_steps or config.training.max_steps
    words = ["chargen", "train", *(source.name for source in corpus.sources)]
    words += [_flag("preset"), config.preset]
    skipped: set[str] = set()
    if config.init_from is not None:
        words += [_flag("init-from"), config.init_from.name]
        skipped = set(ModelConfig.entries()) - {"task", "bidirectional", "ngram"}
    words += differing(config.model, model, skipped)
    words += differing(config.training, training, {*BUDGETS, *config.asked})
    if budget is not None:
        words += [_flag("max-steps"), str(budget)]
    words += differing(corpus.settings, CorpusConfig())
    return shlex.join(words)


def _usual(config: RunConfig) -> tuple[ModelConfig, TrainConfig]:
    """What a run has by default: what its preset says, else what suits its other options."""
    preset, recipe, corpus = PRESETS[config.preset], Recipe(), config.corpus
    extent = Extent(config.model.vocab_size, corpus.train_characters, corpus.train_characters)
    own = {name: getattr(config.model, name) for name in (*_SHAPED_BY, "records")}
    model = choose_model(preset, own, extent, recipe)
    model = replace(model, **_defaults(ModelConfig, _SHAPED_BY, preset.model))
    own = {name: getattr(config.training, name) for name in _ADAPTED_TO}
    training = choose_training(preset, own, extent, config.model, recipe)
    training = replace(training, **_defaults(TrainConfig, _ADAPTED_TO, preset.training))
    if config.training.dropout != training.dropout:
        training = replace(training, dropout_growth=0.0)  # as where dropout alone is given
    return model, training


def _defaults(
    config: type[Config], names: Iterable[str], preset: Mapping[str, Any]
) -> dict[str, Any]:
    return {name: preset.get(name, getattr(config, name)) for name in names}


def _flag(name: str) -> str:
    return f"--{name}"


def escaped(text: str) -> str:
    r"""A text as the command line reads it, on one line: with ``\n`` for a line end, and so on."""
    for mark, written in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(mark, written)
    return text


def differing(config: Config, usual: Config, left_out: Any = ()) -> Iterator[str]:
    """The flags of options that differ from the usual ones."""
    entries: Mapping[str, Any] = type(config).entries()
    for name, entry in entries.items():
        value = getattr(config, name)
        skipped = entry.option.derived or entry.option.panel == MACHINE or name in left_out
        if skipped or value is None or value == getattr(usual, name):
            continue
        on, _, off = entry.flags[0].partition("/")
        if isinstance(value, bool):
            yield on if value else off
        elif entry.option.switch is not None and value == entry.option.switch[1]:
            yield on
        elif isinstance(value, tuple):
            yield from (word for each in value for word in (on, each))
        else:
            yield from (on, str(value))
