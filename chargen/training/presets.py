"""Presets, and what suits a corpus where neither an option nor the preset says.

The constants are those of the recipe; tests/benchmarks/README.md has the measurements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chargen.options import ModelConfig, Recipe, TrainConfig
from chargen.training.dropout import suited_dropout
from chargen.training.extent import Extent
from chargen.training.learning_rate import highest_learning_rate

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus


@dataclass(frozen=True)
class Preset:
    """A named set of values for ModelConfig and TrainConfig, which explicit options override.

    Attributes:
        summary: what it is for.
        model, training: the values.
        suits: whether the values that it leaves open are adapted to the corpus.
    """

    summary: str
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    suits: bool = True


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "tiny": Preset(
            "a toy for tests: seconds, and gibberish",
            {"hidden_size": 32, "embedding_size": 16, "ngram": "0"},
            {"seq_length": 16, "batch_size": 4, "lr": 1e-2, "warmup_steps": 10},
            suits=False,
        ),
        "lecture": Preset(
            "the textbook's network: one-hot input, 50 tanh units, no biases, windows of 50",
            {"cell": "rnn", "hidden_size": 50, "embedding_size": 0, "bias": False, "ngram": "0"},
            {"seq_length": 50, "batch_size": 16, "lr": 4e-3, "weight_decay": 0.0},
            suits=False,
        ),
        "small": Preset("an LSTM of 256 units: good text in a minute or two"),
        "base": Preset(
            "an LSTM of 384 units: better text in five minutes, and the best as an average of four",
            {"hidden_size": 384},
        ),
        "large": Preset(
            "two LSTM layers of 768 units: for a GPU",
            {"hidden_size": 768, "num_layers": 2},
            {"batch_size": 64},
        ),
    }
)
DEFAULT_PRESET = "small"


def choose_model(
    preset: Preset, given: Mapping[str, Any], extent: Extent, recipe: Recipe
) -> ModelConfig:
    """The network for a corpus: options, else the preset, else what suits the vocabulary.

    Its embeddings are tied and n-grams counted where that suits, unless an option says otherwise
    or the network can't.
    """
    suited: dict[str, Any] = {}
    if preset.suits:
        suited = {**suited_model(extent, recipe), "ngram": "auto"}
        if _continues_plain_text(given):
            suited["num_layers"] = suited_layers(extent, recipe)
    if given.get("task") == "seq2seq":
        suited["attention"] = "dot"
        suited["also_reversed"] = preset.suits and extent.parallel
    values = {**suited, **given_or_preset(preset, given)}
    model = ModelConfig(**{"vocab_size": extent.vocab_size, **values})
    if model.tie_weights and "tie_weights" not in given and not model.can_tie():
        return replace(model, tie_weights=False)
    return model


def given_or_preset(preset: Preset, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a network that are given, or follow from these; else the preset's."""
    return {**preset.model, **ModelConfig.implied_by(given), **given}


def with_ngram_order(model: ModelConfig, corpus: PreparedCorpus) -> ModelConfig:
    """The same network with an order that suits a corpus where ``ngram`` is ``auto``."""
    if model.ngram != "auto" or not model.can_mix():  # a classifier counts in its own way
        return model.with_ngram_order(0)
    from chargen.ngrams.order import choose_order  # NumPy is slow to import

    newline = corpus.tokenizer.newline_id
    return model.with_ngram_order(choose_order(model.vocab_size, corpus.train, newline))


def choose_training(
    preset: Preset, given: Mapping[str, Any], extent: Extent, model: ModelConfig, recipe: Recipe
) -> TrainConfig:
    """How a network is trained on a corpus: options, else the preset, else what suits.

    Args:
        preset: whose values count where no option is given.
        given: options of TrainConfig, batch and window as the text can fill them.
        extent: of the corpus.
        model: the network.
        recipe: the constants.
    """
    fixed = {**preset.training, **given}
    if fixed.get("optimizer", TrainConfig.optimizer) != "adamw":
        fixed.setdefault("weight_decay", 0.0)  # theirs is no decay, but a part of the gradient
    if preset.suits:
        fixed = {**suited_training(extent, model, fixed, recipe), **fixed}
    return TrainConfig(**fixed)


def suited_model(extent: Extent, recipe: Recipe) -> dict[str, Any]:
    """Embedding and tying for a vocabulary.

    With thousands of characters most of the work is the softmax, and most rows of V are rarely
    seen: one table for input and output is faster and learns sooner. With a hundred characters a
    small table is enough.
    """
    large = extent.is_large(recipe)
    return {"embedding_size": recipe.embedding_size[large], "tie_weights": large}


def _continues_plain_text(given: Mapping[str, Any]) -> bool:
    """Whether it is an LSTM that continues a text without records: only there layers were tried."""
    usual = {"task": ModelConfig.task, "cell": ModelConfig.cell, "records": False}
    return all(given.get(name, value) == value for name, value in usual.items())


def suited_layers(extent: Extent, recipe: Recipe) -> int:
    """How many layers an LSTM that continues such a text has."""
    many = extent.vocab_size >= recipe.second_layer > 0
    return 2 if many and extent.characters >= recipe.short_text else 1


def suited_training(
    extent: Extent, model: ModelConfig, chosen: Mapping[str, Any], recipe: Recipe
) -> dict[str, Any]:
    """Learning rate, weight decay and dropout for a vocabulary, a network and a size of text.

    They depend on the corpus, the network and the other options, never on the budget, so that a
    run by the clock can be repeated by its number of steps.

    Args:
        extent: of the corpus.
        model: the network.
        chosen: options of training that are fixed already.
        recipe: the constants.
    """
    config = TrainConfig(**chosen)
    suited = {
        "lr": highest_learning_rate(extent, model.hidden_size, config, recipe),
        "weight_decay": recipe.weight_decay[extent.is_large(recipe)],
    }
    ratios = {"classify": recipe.lr_of_labels, "seq2seq": recipe.lr_of_answers}
    suited["lr"] *= ratios.get(model.task, 1.0)
    if "dropout" not in chosen and "dropout_growth" not in chosen:
        of_labels = {"dropout": recipe.dropout_of_labels}
        suited |= of_labels if model.task == "classify" else suited_dropout(extent, recipe)
    return suited


def default_passes(characters: int, recipe: Recipe) -> float:
    """Passes over a text of so many characters, where no budget is given.

    The number of characters read grows with the root of the text's size. A small text is read
    repeatedly, with dropout against memorising it, but no more often than helps; a large one is
    read at least once.
    """
    passes = recipe.passes_root / math.sqrt(max(1, characters))
    return min(recipe.passes_limit, max(1.0, passes))
