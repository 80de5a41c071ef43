"""The network of each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from chargen.network.base import Model
from chargen.network.classifier import Classifier
from chargen.network.infiller import Infiller
from chargen.network.model import CharModel
from chargen.network.seq2seq import Seq2Seq
from chargen.options import ModelConfig

_SHAPES: Mapping[str, Callable[[ModelConfig], Model]] = MappingProxyType(
    {"lm": CharModel, "classify": Classifier, "seq2seq": Seq2Seq, "infill": Infiller}
)


def build_model(config: ModelConfig) -> Model:
    """The network of a config; its parameters are still to be set by ``reset_parameters``."""
    return _SHAPES[config.task](config)
