"""The commands that a card shows: how a run was trained, and how its sample was drawn."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
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
)
from chargen.options.training import MACHINE
from chargen.runs.config import RunConfig
from chargen.training.extent import Extent
from chargen.training.presets import PRESETS, choose_model, choose_training

SEED = 0


def sample_command(wanted: SamplingConfig) -> str:
    """The command line that draws the sample from the folder that it is called in."""
    seed = BatchConfig.entries()["seed"].flags[0]
    words = ["chargen", "sample", ".", *differing(wanted, SamplingConfig()), seed, str(SEED)]
    return shlex.join(words)


def training_command(config: RunConfig) -> str:
    """The command line that trains such a run, with the options that differ from today's defaults.

    What the machine decides, such as the number of threads, is left out.
    """
    corpus, preset, recipe = config.corpus, PRESETS[config.preset], Recipe()
    extent = Extent(config.model.vocab_size, corpus.train_characters, corpus.train_characters)
    given = {"cell": config.model.cell, "task": config.model.task}
    model = choose_model(preset, given, extent, recipe)
    model = replace(model, cell=ModelConfig.cell, task=ModelConfig.task)
    training = choose_training(preset, {}, extent, config.model, recipe)
    budget = config.total_steps or config.training.max_steps
    words = ["chargen", "train", *(source.name for source in corpus.sources)]
    words += [_flag("preset"), config.preset]
    if config.init_from is not None:
        words += [_flag("init-from"), config.init_from.name]
    else:
        words += differing(config.model, model)
    left_out = {*BUDGETS, *config.asked}
    words += differing(config.training, training, left_out)
    if budget is not None:
        words += [_flag("max-steps"), str(budget)]
    words += differing(corpus.settings, CorpusConfig())
    return shlex.join(words)


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
