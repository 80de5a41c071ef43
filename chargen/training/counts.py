"""What is counted of a training text before a network learns it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.windows import Windows
from chargen.ngrams import (
    CountedTexts,
    KneserNey,
    choose_drop,
    count,
    leave_one_out,
    without_singletons,
)
from chargen.options import ModelConfig

_LONGEST = 1 << 27
"""Pieces of a text whose probabilities are all computed before training: 512 MiB."""
_AHEAD = 32
"""Windows of a longer text whose probabilities are computed at once."""
_AT_ONCE = 1 << 22
"""Positions whose probabilities are in memory in double precision."""


class CountedText:
    """P_n of each piece of a text, without what its own position contributed to the counts.

    Those of a long text are computed when their windows are due, so that the memory is bounded.

    Args:
        whole: the counts of the text.
        ids: (N,) the text.
        drop_from: as in ``leave_one_out``.
    """

    def __init__(self, whole: KneserNey, ids: NDArray[np.integer], drop_from: int) -> None:
        self._part = partial(_left_out, whole, ids, drop_from)
        self._first, self._ahead = (-1, -1), np.zeros((0, 0), np.float32)
        self._every: NDArray[np.float32] | None = None
        if len(ids) <= _LONGEST:
            self._every = self._part(0, len(ids))
            del self._part  # it holds the counts, which are larger

    def of_window(self, windows: Windows, step: int) -> NDArray[np.float32]:
        """The probabilities of a window's targets, (T', B) and contiguous."""
        if self._every is not None:
            return windows.of_targets(self._every, step)
        start, end = windows.span(step)
        first = start - start % (_AHEAD * windows.seq_length)
        due = step // windows.steps_per_epoch, first
        if due != self._first:
            last = min(first + _AHEAD * windows.seq_length, windows.lane_length)
            lanes = windows.stretches(step, first, last)
            parts = ([self._part(*each) for each in lane] for lane in lanes)
            self._ahead = np.stack([np.concatenate(lane) for lane in parts])
            self._first = due
        return np.ascontiguousarray(self._ahead[:, start - first : end - first].T)


def _left_out(
    whole: KneserNey, ids: NDArray[np.integer], drop_from: int, start: int, end: int
) -> NDArray[np.float32]:
    """Return ``leave_one_out`` of positions ``start`` to ``end``, rounded, in bounded memory."""
    found = np.empty(end - start, np.float32)
    for first in range(start, end, _AT_ONCE):
        last = min(first + _AT_ONCE, end)
        p = leave_one_out(whole, ids, first, last, drop_from=drop_from)
        found[first - start : last - start] = p
    return found


@dataclass(frozen=True, eq=False)
class Counts:
    """The n-grams of a training text, a function of text and order; None where the order is 0.

    Attributes:
        ngram: the model that the run keeps.
        counted: what it says of the text itself.
        texts: what it says of records, or of the answers of pairs, and after those of what they
            answer where that is learnt as well.
        seconds: that counting took.
    """

    ngram: KneserNey | None = None
    counted: CountedText | None = None
    texts: CountedTexts | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, corpus: PreparedCorpus, model: ModelConfig) -> Counts:
        """Count the training text of a corpus for a network."""
        if not model.mixed_order:
            return cls()
        began = perf_counter()
        ids, tokenizer = corpus.train, corpus.tokenizer
        if model.records:
            split, sides = corpus.train_records, [int(model.task == "seq2seq")]
            if model.also_reversed:
                sides.append(0)
            texts = CountedTexts(
                ids,
                np.concatenate([split.starts(side) for side in sides]),
                np.concatenate([split.lengths(side) for side in sides]),
                tokenizer.size,
                model.ngram_order,
                tokenizer.newline_id,
                _LONGEST,
            )
            kept = without_singletons(texts.whole, texts.drop_from)
            return cls(kept, texts=texts, seconds=perf_counter() - began)
        whole = count(ids, tokenizer.size, model.ngram_order, tokenizer.newline_id)
        drop = choose_drop(whole, ids)
        counted = CountedText(whole, ids, drop)
        return cls(without_singletons(whole, drop), counted, seconds=perf_counter() - began)
