"""Bits per character of records: each text is read from its beginning, and its end is charged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.batching import by_length, padded
from chargen.corpus.labels import Labels
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.records import Record
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.evaluation.gate import Evidence
from chargen.evaluation.judges import Judge, judge_of
from chargen.evaluation.predictors import Scorer
from chargen.evaluation.scores import Score, by_character
from chargen.machine.precision import exact_float32
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey, joined

_PIECES = 1 << 14
"""Positions that are scored at once, padding included."""


def score_records(
    model: CharModel,
    tokenizer: Tokenizer,
    split: RecordSplit,
    v: NDArray[np.float32] | None = None,
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
) -> Score:
    """Score whole texts, of each every character and its end, which counts as a character.

    Args:
        model: a language model of records.
        tokenizer: that made them.
        split: the records.
        v: their labels, (n, L); None: without.
        ngram: the counts that are mixed in, or None.
        evidence: gets what the gate could be calibrated by.
    """
    nats, correct = piece_costs(model, split, tokenizer.newline_id, v, ngram, evidence)
    return by_character(tokenizer, split.tokens, nats, correct).total()


def score_file(
    model: CharModel,
    tokenizer: Tokenizer,
    records: Iterable[Record],
    labels: Labels,
    ngram: KneserNey | None = None,
) -> Score:
    """Score the records of a file, with their labels as far as the model knows them.

    Raises:
        CorpusError: there are none.
    """
    scores = []
    for chunk in in_chunks(records):
        split = split_of(chunk, tokenizer, labels)
        v = labels.vectors(split.labels) if labels.size else None
        scores.append(score_records(model, tokenizer, split, v, ngram))
    return total_of(scores)


def total_of(scores: Iterable[Score]) -> Score:
    """The score of several parts of a file together; CorpusError where there are none."""
    parts = list(scores)
    if not parts:
        raise CorpusError("The file has no records.", "Name one with at least one record.")
    return added(parts)


def added(scores: Sequence[Score]) -> Score:
    """The score of several texts together."""
    counts = (astuple(each)[:-1] for each in scores)
    return Score(*map(sum, zip(*counts, strict=True)))


def text_costs(
    model: CharModel,
    split: RecordSplit,
    newline_id: int,
    v: NDArray[np.float32] | None = None,
    ngram: KneserNey | None = None,
) -> NDArray[np.float64]:
    """What each text costs in nats, its end included, (n,)."""
    nats, _ = piece_costs(model, split, newline_id, v, ngram)
    return np.add.reduceat(nats, split.ends - split.lengths() + 1)


@exact_float32()
def piece_costs(
    model: CharModel,
    split: RecordSplit,
    newline_id: int,
    v: NDArray[np.float32] | None = None,
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each piece costs in nats, and whether it was the likeliest, (pieces,) each."""
    nats, correct = np.zeros(len(split.tokens)), np.zeros(len(split.tokens), bool)
    judge, device = judge_of_texts(model, split, newline_id, 0, ngram, evidence), model.table.device
    with torch.no_grad():
        for records in batches_of(split):
            targets, lengths = padded(split, records)
            ids = np.concatenate([np.full((1, len(records)), newline_id), targets[:-1]])
            given = None if v is None else torch.from_numpy(v[records]).to(device)
            before = model.initial_state(len(records))
            s, _ = model(torch.from_numpy(ids).to(device), before, None, given)
            within = np.arange(len(ids))[:, None] < lengths
            steps, rows = np.nonzero(within)
            places = split.ends[records][rows] - lengths[rows] + 1 + steps
            cost, top = judge(s[torch.from_numpy(within).to(device)], places)
            nats[places] = cost.cpu().double().numpy()
            correct[places] = top.cpu().numpy()
    return nats, correct


def judge_of_texts(
    model: Scorer,
    split: RecordSplit,
    newline_id: int,
    side: int = 0,
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
) -> Judge:
    """How a network judges the pieces of one side of records, by their number in it.

    Arguments as of ``judge_of``; no text's context reaches into the one before.
    """
    order = 1 if ngram is None else ngram.order
    texts = split.starts(side), split.lengths(side)
    stream, places = joined(split.tokens, *texts, order, newline_id)
    judge = judge_of(model, stream, ngram, evidence)
    return lambda s, at: judge(s, places[at])


def batches_of(split: RecordSplit, sides: tuple[int, ...] = (0,)) -> Iterator[NDArray[np.int64]]:
    """Batches of records whose sides have similar lengths, as many as are scored at once."""
    return by_length(np.stack([split.lengths(side) for side in sides]), _PIECES)


def split_of(records: Sequence[Record], tokenizer: Tokenizer, labels: Labels) -> RecordSplit:
    """Encode records as those that a model learns from are; unknown labels count as absent."""
    sides = [side for record in records for side in record.sides]
    end = np.array([tokenizer.end_id], np.int32)
    tokens = np.concatenate([part for side in sides for part in (tokenizer.encode(side), end)])
    numbers = np.stack([labels.numbers(record.labels) for record in records])
    return RecordSplit(tokens, tokenizer.end_id, len(records), len(records[0].sides), numbers)


def in_chunks(records: Iterable[Record], most: int = 4096) -> Iterator[list[Record]]:
    """Some records at a time."""
    left = iter(records)
    while chunk := list(islice(left, most)):
        yield chunk
