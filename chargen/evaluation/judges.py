"""What pieces cost after outputs of a network: under it alone, or mixed with counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen import ngrams
from chargen.evaluation.gate import Evidence
from chargen.evaluation.predictors import Mixer, Scorer
from chargen.ngrams import KneserNey

Judge = Callable[[Tensor, NDArray[np.int64]], tuple[Tensor, Tensor]]
"""Outputs (n, H) and the positions of the pieces that come next, (n,), to the cost of each and
whether it was the likeliest."""


def judge_of(
    model: Scorer,
    ids: NDArray[np.integer],
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
) -> Judge:
    """How a network judges the pieces of a text.

    Args:
        model: the network; with ``ngram``, one that has a gate.
        ids: the text, (N,).
        ngram: the counts that are mixed in, or None.
        evidence: gets what the gate could be calibrated by, or None.
    """
    if ngram is None:
        return _alone(model, ids)
    return _mixed(cast("Mixer", model), ngram, ids, evidence)


def judge_of_text(
    model: Scorer,
    ids: NDArray[np.integer],
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
) -> Judge:
    """How a network judges the pieces of one text from its beginning; arguments as ``judge_of``."""
    if ngram is None:
        return judge_of(model, ids)
    record = cast("Mixer", model).config.records
    stream, before = ngrams.preceded(ngram, np.asarray(ids), record=record)
    judge = judge_of(model, stream, ngram, evidence)
    return lambda s, at: judge(s, at + before)


def _alone(model: Scorer, ids: NDArray[np.integer]) -> Judge:
    """The network alone."""

    def judge(s: Tensor, at: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return model.score(s, _on(s, ids[at].astype(np.int64)))

    return judge


def _mixed(
    model: Mixer, ngram: KneserNey, ids: NDArray[np.integer], evidence: Evidence | None
) -> Judge:
    """The mixture of the network and of counting."""
    counted = ngrams.score(ngram, ids).astype(np.float32)

    def judge(s: Tensor, at: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        def rows_of(some: Tensor) -> Tensor:
            states = ngrams.states_before(ngram, ids, at[some.cpu().numpy()])
            return _on(s, ngram.row(states))

        wanted = _on(s, ids[at].astype(np.int64))
        cost, top, own = model.score_mixed(s, wanted, _on(s, counted[at]), rows_of)
        if evidence is not None:
            evidence.add(torch.logit(model.gate(s)), own, counted[at], at)
        return cost, top

    return judge


def _on(s: Tensor, array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array).to(s.device)
