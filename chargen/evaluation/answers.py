"""What answers cost: the bits of each answer under a network that has read its text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.batching import padded
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.tokenizer import Tokenizer
from chargen.evaluation.gate import Evidence
from chargen.evaluation.scores import Score, by_character
from chargen.evaluation.texts import judge_of_texts
from chargen.machine.precision import exact_float32
from chargen.network.seq2seq import Seq2Seq
from chargen.ngrams import KneserNey

_PIECES = 1 << 14
"""Positions that are scored at once, padding included."""


def score_answers(
    model: Seq2Seq,
    tokenizer: Tokenizer,
    pairs: RecordSplit,
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
) -> Score:
    """Score the answers of pairs: every character and the end, which counts as a character.

    With ``ngram``, under the mixture with these counts; ``evidence`` as in ``judge_of``.
    """
    nats, correct = answer_costs(model, pairs, tokenizer.newline_id, ngram, evidence)
    answers = [pairs.side(n, 1) for n in range(len(pairs))]
    return by_character(tokenizer, np.concatenate(answers), nats, correct).total()


@exact_float32()
def answer_costs(
    model: Seq2Seq,
    pairs: RecordSplit,
    newline_id: int,
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each piece of the answers costs in nats, and whether it was the likeliest.

    Returns:
        Two arrays, (pieces of all answers,), one answer after another.
    """
    lengths = pairs.lengths(1)
    firsts = np.cumsum(lengths) - lengths
    nats, correct = np.zeros(int(lengths.sum())), np.zeros(int(lengths.sum()), bool)
    judge, device = judge_of_texts(model, pairs, newline_id, 1, ngram, evidence), model.table.device
    with torch.no_grad():
        for records in _by_length(pairs):
            source, source_lengths = padded(pairs, records)
            targets, wide = padded(pairs, records, 1)
            ids = np.concatenate([np.full((1, len(records)), newline_id), targets[:-1]])
            given = (torch.from_numpy(each).to(device) for each in (source, source_lengths, ids))
            texts, long, known = given
            s = model.decode(known, model.encode(texts, long))
            steps, rows = np.nonzero(np.arange(len(ids))[:, None] < wide)
            at = torch.from_numpy(steps).to(device), torch.from_numpy(rows).to(device)
            places = firsts[records][rows] + steps
            cost, top = judge(s[at], places)
            nats[places] = cost.cpu().double().numpy()
            correct[places] = top.cpu().numpy()
    return nats, correct


def _by_length(pairs: RecordSplit) -> Iterator[NDArray[np.int64]]:
    """Batches of pairs of similar lengths, (B,) each, of a bounded number of positions."""
    both = np.stack([pairs.lengths(0), pairs.lengths(1)])
    order: NDArray[np.int64] = np.lexsort(both[::-1])
    longest: NDArray[np.integer[Any]] = np.maximum.accumulate(both[:, order].sum(0))
    left = iter(order.tolist())
    done = 0
    while done < len(order):
        count = 1
        while done + count < len(order) and longest[done + count] * (count + 1) <= _PIECES:
            count += 1
        yield np.array(list(islice(left, count)))
        done += count
