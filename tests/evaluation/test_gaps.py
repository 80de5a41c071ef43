"""Scores of lines whose characters are hidden one at a time, against each line alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

import chargen
from chargen.corpus.labels import Labels
from chargen.corpus.records import Record
from chargen.corpus.tokenizer import Tokenizer
from chargen.evaluation.gaps import score_gaps, score_gaps_of_file
from chargen.evaluation.scores import NATS_TO_BITS
from chargen.evaluation.texts import split_of
from chargen.network.infiller import Infiller
from chargen.options import ModelConfig
from tests.support import train_tiny

LINES = ["春眠不觉晓，处处闻啼鸟。", "眠", "觉𠀀晓", "春眠不觉晓，"]


def test_each_line_is_scored_as_if_it_were_alone() -> None:
    tokenizer = Tokenizer.train(Counter(LINES[0] * 2), 100, "bytes", end=True)
    model = Infiller(
        ModelConfig(tokenizer.size, task="infill", records=True, hidden_size=8, embedding_size=5)
    )
    model.reset_parameters(0)
    nats: list[float] = []
    for line in LINES:
        ids = tokenizer.encode(line).tolist()
        framed = torch.tensor([tokenizer.newline_id, *ids, tokenizer.end_id])[:, None]
        with torch.no_grad():
            o = model.logits(model(framed, torch.tensor([len(ids)])))[:, 0]
        costs = -torch.log_softmax(o, 1).gather(1, torch.tensor(ids)[:, None])[:, 0]
        starts = tokenizer.character_starts(ids)
        for cost, begins in zip(costs.tolist(), starts.tolist(), strict=True):
            nats += [cost] if begins else []
            nats[-1] += 0 if begins else cost
    records = [Record(line, {}, None, "", None) for line in LINES]
    scores = score_gaps(model, tokenizer, split_of(records, tokenizer, Labels({})))
    assert scores.nats == pytest.approx(nats, abs=1e-5)
    total = score_gaps_of_file(model, tokenizer, records)
    assert total.characters == sum(map(len, LINES))
    assert total.bits_per_char == pytest.approx(sum(nats) / len(nats) * NATS_TO_BITS, abs=1e-5)
    with pytest.raises(chargen.CorpusError, match="no records"):
        score_gaps_of_file(model, tokenizer, [])


def test_validation_is_the_score_of_the_lines_kept_out(tmp_path: Path) -> None:
    text = tmp_path / "lines.txt"
    text.write_text("\n".join(LINES * 5), encoding="utf-8")
    run = train_tiny(text, tmp_path, task="infill", val_frac=0.5)
    kept = tmp_path / "kept.txt"
    kept.write_text("\n".join((LINES * 5)[1::2]), encoding="utf-8")
    score = chargen.load(run.path).score_records(kept)
    assert score.bits_per_char == pytest.approx(run.bits_per_char, abs=1e-5)
