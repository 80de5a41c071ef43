"""Presets, and what suits a corpus where neither preset nor option says.

The values are measured: see tests/benchmarks/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus

_LARGE_VOCABULARY = 512
_GROWTH, _GROWTH_LARGE = (0.03, 0.01), (0.045, 0.025)
"""Growth of dropout for a text of ``_GROWTH_CHARACTERS``, and what half the size gets more; for a
small vocabulary, and for a large one, whose rare characters are soon known by heart."""
_GROWTH_CHARACTERS = 1e6
_SHORT = 70e3
"""Characters below which a text of a large vocabulary has constant dropout: a pass or two are
enough to know it by heart."""
_SHORT_DROPOUT, _SHORT_CHARACTERS, _MOST_DROPOUT = (0.5, 0.08), 1e5, 0.8
"""That share for a text of ``_SHORT_CHARACTERS``, what half the size gets more, and the most."""
_MOST_PASSES = 20

_RATES = {"adamw": 1.0, "rmsprop": 0.4, "sgd": 120.0}
"""By optimiser: its learning rate over AdamW's."""
_DECAY, _DECAY_LARGE = 0.05, 0.3
"""AdamW's weight decay, for a small vocabulary and for a large one."""


@dataclass(frozen=True)
class Preset:
    """A named set of values for ModelConfig and TrainConfig, which explicit options override.

    Attributes:
        summary: what it is for.
        model, training: the values.
        suits: whether what they leave open is chosen to suit the corpus.
    """

    summary: str
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    suits: bool = True


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "tiny": Preset(
            "a toy for tests: seconds, and gibberish",
            {"hidden_size": 32, "embedding_size": 16},
            {"seq_length": 16, "batch_size": 4, "lr": 1e-2, "warmup_steps": 10},
            suits=False,
        ),
        "lecture": Preset(
            "the textbook's network: one-hot input, 50 tanh units, no biases, windows of 50",
            {"cell": "rnn", "hidden_size": 50, "embedding_size": 0, "bias": False},
            {"seq_length": 50, "batch_size": 16, "lr": 4e-3, "weight_decay": 0.0},
            suits=False,
        ),
        "small": Preset("an LSTM of 256 units: good text in a minute or two"),
        "base": Preset("an LSTM of 384 units: better text in five minutes", {"hidden_size": 384}),
        "large": Preset(
            "two LSTM layers of 768 units: for an hour, or a GPU",
            {"hidden_size": 768, "num_layers": 2},
            {"batch_size": 64},
        ),
    }
)
DEFAULT_PRESET = "small"


@dataclass(frozen=True)
class Extent:
    """How large a corpus is: |V|, and the characters to learn from, which are so many pieces."""

    vocab_size: int
    characters: int
    pieces: int

    @classmethod
    def of(cls, corpus: PreparedCorpus) -> Extent:
        train = corpus.manifest.train
        return cls(corpus.tokenizer.size, train.characters, train.pieces)


def suited_model(extent: Extent) -> dict[str, Any]:
    """Embedding and tying for a vocabulary.

    With thousands of characters most of the work is the softmax, and most rows of V are rarely
    seen: a table that serves input and output alike is faster and learns sooner. With a hundred,
    a small table is enough.
    """
    if extent.vocab_size >= _LARGE_VOCABULARY:
        return {"embedding_size": 128, "tie_weights": True}
    return {"embedding_size": 32, "tie_weights": False}


def suited_training(extent: Extent, hidden_size: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Learning rate, decay and dropout: for a vocabulary, a width, the size of the text.

    All depend on the corpus, the network and what is chosen alone, never on the budget, so that a
    run by the clock can be repeated by its number of steps. Small steps follow noisier gradients,
    and get a lower rate. Dropout grows with the passes over the text: the faster the smaller the
    text is, and faster for a large vocabulary, where a short text has a high share of it from the
    start.

    Args:
        extent: of the corpus.
        hidden_size: units a layer.
        chosen: options of training that are fixed already, ``optimizer``, ``batch_size`` and
            ``seq_length`` among them.
    """
    large = extent.vocab_size >= _LARGE_VOCABULARY
    lr = _RATES.get(chosen["optimizer"], 1.0) * (8e-3 if large else 1.4e-2)
    smaller = min(1, max(1, chosen["batch_size"] * chosen["seq_length"]) / 2048)
    suited = {
        "lr": round(lr * math.sqrt(256 / max(1, hidden_size) * smaller), 5),
        "weight_decay": _DECAY_LARGE if large else _DECAY,
    }
    if "dropout" not in chosen and "dropout_growth" not in chosen:
        suited |= _suited_dropout(large, max(1, extent.characters))
    return suited


def _suited_dropout(large: bool, characters: int) -> dict[str, float]:
    if large and characters < _SHORT:
        share, more = _SHORT_DROPOUT
        share += more * math.log2(_SHORT_CHARACTERS / characters)
        return {"dropout": round(min(_MOST_DROPOUT, share), 2)}
    growth, more = _GROWTH_LARGE if large else _GROWTH
    growth += more * math.log2(_GROWTH_CHARACTERS / characters)
    return {"dropout_growth": round(max(0.0, growth), 3)}


def default_epochs(characters: int) -> float:
    """Passes over a text of so many characters, where no budget is given.

    The characters seen grow with the root of the text's size: a small text is read again and
    again, with dropout against learning it by heart, but not more often than helps; a large one
    is read once at least.
    """
    return min(_MOST_PASSES, max(1.0, 1e4 / math.sqrt(max(1, characters))))
