"""Bits per character of lines whose characters are hidden one at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from chargen.corpus.batching import framed
from chargen.corpus.labels import Labels
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.records import Record
from chargen.corpus.tokenizer import Tokenizer
from chargen.evaluation.scores import CharScores, Score, by_character
from chargen.evaluation.texts import batches_of, in_chunks, split_of, total_of
from chargen.machine.precision import exact_float32
from chargen.network.infiller import Infiller


@exact_float32()
def score_gaps(model: Infiller, tokenizer: Tokenizer, split: RecordSplit) -> CharScores:
    """Score each character of each text, given all others of its text.

    These bits can't be compared with those of a language model, which knows only what comes
    before. Ends of texts are not scored.

    Args:
        model: a network that fills gaps.
        tokenizer: that made the texts.
        split: the texts.
    """
    nats, correct = np.zeros(len(split.tokens)), np.zeros(len(split.tokens), bool)
    device = model.table.device
    with torch.no_grad():
        for records in batches_of(split):
            ids, lengths = framed(split, records, tokenizer.newline_id)
            within = np.arange(len(ids) - 2)[:, None] < lengths
            on_device = torch.from_numpy(ids).to(device)
            s = model(on_device, torch.from_numpy(lengths).to(device))
            chosen = torch.from_numpy(within).to(device)
            cost, top = model.score(s[chosen], on_device[1:-1][chosen])
            steps, rows = np.nonzero(within)
            places = split.ends[records][rows] - lengths[rows] + steps
            nats[places] = cost.cpu().double().numpy()
            correct[places] = top.cpu().numpy()
    inside = np.ones(len(nats), bool)
    inside[split.ends] = False
    return by_character(tokenizer, np.asarray(split.tokens)[inside], nats[inside], correct[inside])


def score_gaps_of_file(model: Infiller, tokenizer: Tokenizer, records: Iterable[Record]) -> Score:
    """Score the records of a file as ``score_gaps`` does; CorpusError where there are none."""
    chunks = (split_of(chunk, tokenizer, Labels({})) for chunk in in_chunks(records))
    return total_of(score_gaps(model, tokenizer, split).total() for split in chunks)
