"""What is in a run folder from the beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from chargen.corpus.tokenizer import Tokenizer
from chargen.ngrams import KneserNey
from chargen.runs.config import RunConfig
from chargen.runs.places import Places

First = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Tensors and values of the checkpoint that a run begins with."""


class Weights(NamedTuple):
    """Weights that sampling uses, the steps after which they were taken, and their score."""

    tensors: Mapping[str, Tensor]
    step: int
    bits_per_char: float | None


@dataclass(frozen=True)
class Content:
    """What is in a run folder from the beginning.

    Attributes:
        config: what the run records of itself.
        tokenizer: of its corpus.
        places: where a resume finds what it needs.
        first: tensors and values of its first checkpoint, if it begins with one.
        ngram: the counts that are mixed in, or None.
        weights: of a run that is not to be trained, or None.
    """

    config: RunConfig
    tokenizer: Tokenizer
    places: Places = field(default_factory=Places)
    first: First | None = None
    ngram: KneserNey | None = None
    weights: Weights | None = None
