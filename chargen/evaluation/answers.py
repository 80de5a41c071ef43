"""What answers cost: the bits of each answer under a network that has read its text."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.batching import padded
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.tokenizer import Tokenizer
from chargen.evaluation.gate import Evidence
from chargen.evaluation.scores import Score, by_character
from chargen.evaluation.texts import batches_of, judge_of_texts
from chargen.machine.precision import exact_float32
from chargen.network.seq2seq import Seq2Seq
from chargen.ngrams import KneserNey


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
        for records in batches_of(pairs, (0, 1)):
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
