"""chargen: a text in, a small recurrent language model out, and text again."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from chargen.api import load, prepare, train
    from chargen.config import CorpusConfig, ModelConfig, SamplingConfig, TrainConfig
    from chargen.errors import ChargenError
    from chargen.generation.generator import Generator

_HOME = {
    "Generator": "chargen.generation.generator",
    "load": "chargen.api",
    "prepare": "chargen.api",
    "train": "chargen.api",
    "CorpusConfig": "chargen.config",
    "ModelConfig": "chargen.config",
    "SamplingConfig": "chargen.config",
    "TrainConfig": "chargen.config",
    "ChargenError": "chargen.errors",
}

__all__ = [
    "ChargenError",
    "CorpusConfig",
    "Generator",
    "ModelConfig",
    "SamplingConfig",
    "TrainConfig",
    "__version__",
    "load",
    "prepare",
    "train",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: torch costs seconds, ``--help`` must not."""
    if name not in _HOME:
        raise AttributeError(f"module 'chargen' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
