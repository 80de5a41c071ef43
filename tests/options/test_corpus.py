"""The settings of a corpus, and which of them contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.errors import ConfigError
from chargen.options import CorpusConfig


def test_keys_of_labels_mean_records_with_labels() -> None:
    assert CorpusConfig(label_key=("author",)).records == "labels"
    assert CorpusConfig.from_dict({"label_key": ["author"]}).records == "labels"
    assert CorpusConfig().records == "none"
    assert CorpusConfig(label_key=("author",)).problems() == []
    assert CorpusConfig(records="labels", text_key="body").problems() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"records": "pairs", "label_key": ["a"]}, "label_key"),
        ({"records": "lines", "label_key": ["a"]}, "label_key"),
        ({"text_key": "body"}, "text_key"),
        ({"reverse": True}, "reverse"),
        ({"unwrap": "yes", "label_key": ["a"]}, "unwrap"),
        ({"label_key": ["a", "a"]}, "twice"),
        ({"label_key": ["text"]}, "both name text"),
        ({"records": "verses"}, "one of none, lines, labels, pairs"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_named(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        chargen.prepare(tmp_path / "none.txt", **options)
