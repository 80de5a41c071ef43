"""The command line of a card trains the network that it tells of."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargen.exporting.command import training_command
from chargen.options import Config, ModelConfig, Recipe, TrainConfig
from chargen.runs.config import Origin, RunConfig
from chargen.runs.folder import RunFolder
from chargen.training.extent import Extent
from chargen.training.presets import PRESETS, choose_model, choose_training

CHINESE = Extent(3257, 10**6, 10**6)


def planned(preset: str, given: dict[str, Any]) -> tuple[ModelConfig, TrainConfig]:
    """What ``chargen train`` makes of some options."""
    of_model = {name: value for name, value in given.items() if name in ModelConfig.entries()}
    of_training = {name: value for name, value in given.items() if name not in of_model}
    model = choose_model(PRESETS[preset], of_model, CHINESE, Recipe())
    return model, choose_training(PRESETS[preset], of_training, CHINESE, model, Recipe())


def options_in(command: str) -> tuple[str, dict[str, Any]]:
    """The preset and the options of a command line."""
    words, preset, found = shlex.split(command), "", {}
    while words:
        word = words.pop(0)
        if word == "--preset":
            preset = words.pop(0)
        for config in (ModelConfig, TrainConfig):
            for name, entry in config.entries().items():
                on, _, off = entry.flags[0].partition("/")
                if off and word in (on, off):
                    found[name] = word == on
                elif word == on:
                    found[name] = read(config, name, words.pop(0))
    del found["max_steps"]  # a card always names them
    return preset, found


def read(config: type[Config], name: str, value: str) -> Any:
    kind = config.__annotations__[name].partition(" ")[0]
    return {"int": int, "float": float, "str": str}[kind](value)


@pytest.mark.parametrize(
    ("preset", "given"),
    [
        ("small", {}),
        ("small", {"num_layers": 1}),
        ("small", {"cell": "jordan"}),
        ("small", {"cell": "lstm,gru"}),
        ("small", {"task": "classify", "bidirectional": True}),
        ("small", {"task": "seq2seq", "attention": "none"}),
        ("small", {"batch_size": 16, "lr": 0.008}),
        ("small", {"optimizer": "sgd", "weight_decay": 0.3}),
        ("small", {"dropout": 0.1}),
        ("small", {"dropout": 0.0}),
        ("small", {"dropout": 0.1, "dropout_growth": 0.055}),
        ("lecture", {}),
        ("lecture", {"cell": "lstm", "seq_length": 64}),
        ("large", {"batch_size": 32, "hidden_size": 256, "tie_weights": False}),
    ],
)
def test_the_command_of_a_card_trains_the_same_network(
    trained: Path, preset: str, given: dict[str, Any]
) -> None:
    usual = RunFolder(trained).read_config()
    corpus = replace(usual.corpus, train_characters=CHINESE.characters)
    model, training = planned(preset, given)
    config = replace(usual, preset=preset, model=model, training=training, corpus=corpus)
    assert planned(*options_in(training_command(config))) == (model, training)


def test_the_command_of_a_run_that_was_begun_with_another_names_its_task(trained: Path) -> None:
    config: RunConfig = RunFolder(trained).read_config()
    model = replace(config.model, task="classify", hidden_size=77, bidirectional=True)
    begun = replace(config, model=model, init_from=Origin("novel", "0" * 64))
    words = shlex.split(training_command(begun))
    assert words[words.index("--init-from") + 1] == "novel"
    assert words[words.index("--task") + 1] == "classify"
    assert "--bidirectional" in words
    assert "--hidden-size" not in words
