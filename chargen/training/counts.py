"""What is counted of a training text before a network learns it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.prepared import PreparedCorpus
from chargen.ngrams import KneserNey, choose_drop, count, leave_one_out, without_singletons
from chargen.options import ModelConfig
from chargen.runs.ngram import write_ngram

_AT_ONCE = 1 << 22
"""Positions whose probabilities are in memory in double precision."""


@dataclass(frozen=True, eq=False)
class Counts:
    """The n-grams of a training text, a function of text and order; None where the order is 0.

    Attributes:
        ngram: the model that the run keeps.
        counted: P_n of each token of the text, (N,) float32, by the same model without what the
            token's own position contributed to it.
        seconds: that counting took.
    """

    ngram: KneserNey | None = None
    counted: NDArray[np.float32] | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, corpus: PreparedCorpus, model: ModelConfig) -> Counts:
        """Count the training text of a corpus for a network."""
        if not model.ngram_order:
            return cls()
        began = perf_counter()
        ids, tokenizer = corpus.train, corpus.tokenizer
        whole = count(ids, tokenizer.size, model.ngram_order, tokenizer.newline_id)
        drop = choose_drop(whole, ids)
        counted = np.empty(len(ids), np.float32)
        for first in range(0, len(ids), _AT_ONCE):
            last = min(first + _AT_ONCE, len(ids))
            counted[first:last] = leave_one_out(whole, ids, first, last, drop_from=drop)
        return cls(without_singletons(whole, drop), counted, perf_counter() - began)

    @classmethod
    def again(cls, run: Path, corpus: PreparedCorpus, model: ModelConfig) -> Counts:
        """Count again for a run that goes on; its file comes back if it was lost."""
        found = cls.of(corpus, model)
        write_ngram(run, found.ngram)
        return found
