from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from chargen.corpus.labels import Labels
from chargen.corpus.records import Record
from chargen.evaluation.answers import score_answers
from chargen.evaluation.scores import Score
from chargen.evaluation.texts import added, split_of
from tests.pairs import LETTERS, answering, tokenizer_of

PAIRS = [("abc", "cba"), ("h", "h"), ("ab", "bacdef"), ("abcdefgh", "g"), ("ba", "éb")]


def records(pairs: list[tuple[str, str]]) -> list[Record]:
    return [Record(text, {}, answer, "", None) for text, answer in pairs]


@pytest.mark.parametrize("oov", ["unk", "bytes"])
def test_answers_cost_what_the_network_says_of_each_alone(oov: str) -> None:
    tokenizer = tokenizer_of(LETTERS, oov)
    model = answering(tokenizer.size, bidirectional=True)
    bits, pieces = 0.0, 0
    for text, answer in PAIRS:
        source, target = (
            torch.from_numpy(np.append(tokenizer.encode(side), tokenizer.end_id).astype(np.int64))
            for side in (text, answer)
        )
        ids = torch.cat([torch.tensor([tokenizer.newline_id]), target[:-1]])[:, None]
        with torch.no_grad():
            read = model.encode(source[:, None], torch.tensor([len(source)]))
            o = model.decoder.logits(model.decode(ids, read)[:, 0])
        cost = torch.nn.functional.cross_entropy(o, target, reduction="sum")
        bits += float(cost) / math.log(2) + int((target == tokenizer.unk_id).sum()) * (
            tokenizer.unk_extra_bits
        )
        pieces += len(target)
    score = score_answers(model, tokenizer, split_of(records(PAIRS), tokenizer, Labels({})))
    assert score.characters == sum(len(answer) + 1 for _, answer in PAIRS)  # each end is one
    assert score.pieces == pieces
    assert score.bits_per_char == pytest.approx(bits / score.characters, rel=1e-5)


def test_scores_add_up() -> None:
    tokenizer = tokenizer_of(LETTERS)
    model = answering(tokenizer.size)
    whole, *parts = (
        score_answers(model, tokenizer, split_of(records(some), tokenizer, Labels({})))
        for some in (PAIRS, PAIRS[:2], PAIRS[2:])
    )
    total = added(parts)
    assert isinstance(total, Score)
    assert (total.characters, total.pieces) == (whole.characters, whole.pieces)
    assert total.nats == pytest.approx(whole.nats, rel=1e-6)
