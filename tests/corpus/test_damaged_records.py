"""What a corpus of records says of itself is verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.corpus.record_split import RecordSplit
from chargen.errors import CorpusError
from chargen.files import sha256_of_values
from chargen.options import CorpusConfig
from tests.corpus.test_preparing_records import AUTHORS, POEMS
from tests.corpus.test_records import jsonl
from tests.corpus.texts import contents, write


@pytest.mark.parametrize(
    "name", ["train.bin", "val.bin", "train.labels.bin", "val.labels.bin", "tokenizer.model"]
)
def test_damage_to_any_file_is_found_and_made_good(tmp_path: Path, name: str) -> None:
    file, out = write(tmp_path / "a.jsonl", jsonl(*POEMS)), tmp_path / "out"
    corpus = prepare([file], out, AUTHORS)
    before = contents(out)
    for rubbish in (b"", b"rubbish", before[name][:-2] + b"\0\0"):
        (out / name).write_bytes(rubbish)
        assert len(corpus.verify()) == 1
        with pytest.raises(CorpusError, match=name):
            PreparedCorpus.open(out)
        prepare([file], out, AUTHORS)
        assert contents(out) == before
    (out / name).unlink()
    prepare([file], out, AUTHORS)
    assert contents(out) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"train": 44, "val": 6},
        {"kind": "pairs"},
        {"keys": []},
        {"values": [[["甲", 1]]]},
        {"values": [[["甲", 1], ["甲", 2], ["丙", 3]]]},
        {"longest": 0},
    ],
    ids=str,
)
def test_a_manifest_that_contradicts_itself_is_an_error(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    prepare([write(tmp_path / "a.jsonl", jsonl(*POEMS))], out, AUTHORS)
    values = json.loads((out / "manifest.json").read_text("utf-8"))
    del values["sha256"]
    values["records"] |= changes
    values["sha256"] = sha256_of_values(values)
    (out / "manifest.json").write_text(json.dumps(values), "utf-8")
    with pytest.raises(CorpusError):
        _ = PreparedCorpus.open(out).train_records


def test_labels_beyond_those_listed_are_an_error(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = [{"text": "ab", "x": "甲乙"[n % 2], "y": "一二三"[n % 3]} for n in range(12)]
    config = CorpusConfig(label_key=("x", "y"))
    corpus = prepare([write(tmp_path / "a.jsonl", jsonl(*rows))], out, config)
    wrong = PreparedCorpus(
        out,
        corpus.manifest,
        corpus.tokenizer,
        corpus.train,
        corpus.val,
        [np.full(22, 3, "<u2"), np.zeros(2, "<u2")],
    )
    with pytest.raises(CorpusError, match="beyond"):
        _ = wrong.train_records
    assert len(wrong.val_records) == 1


@pytest.mark.parametrize("tokens", [[5, 1, 6], [5, 1], [5, 6, 1, 1, 1], []])
def test_pieces_that_are_not_those_of_the_records_are_an_error(tokens: list[int]) -> None:
    with pytest.raises(CorpusError, match="2 records"):
        RecordSplit(np.array(tokens, "<u2"), 1, 2)
