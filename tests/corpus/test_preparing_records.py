"""Records on disk: what was read is what comes back, split fairly, with labels and ends."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chargen
from chargen.corpus.manifest import read_manifest
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.corpus.progress import PrepareProgress
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.record_survey import is_for_validation
from chargen.corpus.remarks import remarks_on_sizes, text_line
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.options import CorpusConfig
from tests.corpus.test_records import JSON, jsonl
from tests.corpus.texts import any_text, contents, write

AUTHORS = CorpusConfig(label_key=("author",))
PAIRS = CorpusConfig(records="pairs", val_frac=0.25)
WORDS = ("山", "水", "风", "月")
POEMS = [
    {
        "text": f"第{n}首：{WORDS[n % 4] * (n % 7 + 1)}",
        "author": "甲乙丙"[n % 3],
        "form": "五七"[n % 2],
    }
    for n in range(50)
]

some_text = any_text.map(lambda text: text.replace("\r", "")[:500]).filter(
    lambda text: bool(text.strip())
)
some_label = st.sampled_from([None, "", "a", "乙", "c d"])
some_record = st.fixed_dictionaries({"text": some_text, "x": some_label, "y": some_label})


def sides(split: RecordSplit, tokenizer: Tokenizer) -> list[tuple[str, ...]]:
    """The texts of a split, read back."""
    found = []
    for n in range(len(split)):
        ids = [split.side(n, side) for side in range(split.sides)]
        assert all(each[-1] == tokenizer.end_id for each in ids)
        assert [len(each) for each in ids] == [split.lengths(s)[n] for s in range(split.sides)]
        found.append(tuple(tokenizer.decode(each[:-1]) for each in ids))
    return found


def labels(corpus: PreparedCorpus, split: RecordSplit) -> list[dict[str, str]]:
    """The labels of a split, read back."""
    made = corpus.manifest.records
    assert made
    return [
        {
            key: values[number - 1][0]
            for key, values, number in zip(made.keys, made.values, row, strict=True)
            if number
        }
        for row in split.labels.tolist()
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(some_record, max_size=8),
    vocab_size=st.integers(2, 40),
    val_frac=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_any_records_survive_the_round_trip(
    tmp_path: Path, rows: list[dict[str, Any]], vocab_size: int, val_frac: float
) -> None:
    rows = [{"text": "ab", "x": "a", "y": "1"}, {"text": "c", "x": "b", "y": "2"}, *rows]
    file = write(tmp_path / "a.jsonl", jsonl(*rows))
    config = CorpusConfig(
        vocab_size=vocab_size, val_frac=val_frac, encoding="utf-8", label_key=("x", "y")
    )
    corpus = prepare([file], tmp_path / "out", config, force=True)
    splits = (corpus.train_records, corpus.val_records)
    texts = [iter(sides(split, corpus.tokenizer)) for split in splits]
    marks = [iter(labels(corpus, split)) for split in splits]
    for n, row in enumerate(rows):
        where = is_for_validation(n, val_frac)
        assert next(texts[where]) == (row["text"],)
        assert next(marks[where]) == {k: v for k in "xy" if (v := row[k])}
    assert [*texts[0], *texts[1], *marks[0], *marks[1]] == []
    assert corpus.manifest.characters == sum(len(row["text"]) + 1 for row in rows)
    assert corpus.verify() == []


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(some_text, some_text), min_size=1, max_size=8))
def test_any_pairs_survive_the_round_trip(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    pairs = [("ab", "no blanks"), *pairs]
    file = write(tmp_path / "a.jsonl", jsonl(*[{"src": s, "trg": t} for s, t in pairs]))
    corpus = prepare([file], tmp_path / "out", PAIRS, force=True)
    found = [iter(sides(s, corpus.tokenizer)) for s in (corpus.train_records, corpus.val_records)]
    for n, pair in enumerate(pairs):
        assert next(found[is_for_validation(n, 0.25)]) == pair
    assert corpus.train_records.labels.shape == (len(corpus.train_records), 0)


def test_the_manifest_describes_the_records(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", jsonl(*POEMS))
    config = CorpusConfig(label_key=("author", "form"))
    manifest = prepare([file], tmp_path / "out", config).manifest
    learnt = [poem for n, poem in enumerate(POEMS) if (n + 1) % 10]
    made = manifest.records
    assert made
    assert (made.kind, made.keys, made.train, made.val) == ("labels", ("author", "form"), 45, 5)
    for key, values in zip(made.keys, made.values, strict=True):
        expected = Counter(poem[key] for poem in learnt)
        assert list(values) == sorted(expected.items(), key=lambda pair: (-pair[1], pair[0]))
    assert made.longest == max(len(poem["text"]) for poem in POEMS) + 1
    assert manifest.train.characters == sum(len(poem["text"]) + 1 for poem in learnt)
    assert manifest.vocabulary.reserved == 2
    assert set(manifest.files) == {
        *("tokenizer.model", "train.bin", "val.bin", "train.labels.bin", "val.labels.bin")
    }
    assert read_manifest(tmp_path / "out") == manifest
    assert manifest.config.records == "labels"


def test_a_value_that_only_validation_has_is_listed_with_no_count(tmp_path: Path) -> None:
    rows = [{"text": "ab", "author": "甲乙"[n % 2]} for n in range(9)] + [
        {"text": "cd", "author": "丙"}
    ]
    corpus = prepare([write(tmp_path / "a.jsonl", jsonl(*rows))], tmp_path / "out", AUTHORS)
    assert corpus.manifest.records
    assert corpus.manifest.records.values == ((("甲", 5), ("乙", 4), ("丙", 0)),)
    assert corpus.val_records.labels.tolist() == [[3]]


@pytest.mark.parametrize("val_frac", [0.0, 0.1, 0.05, 0.25, 0.3, 0.5, 0.99])
def test_validation_is_spread_evenly(val_frac: float) -> None:
    taken = [is_for_validation(n, val_frac) for n in range(1000)]
    assert not taken[0]
    share = Fraction(str(val_frac))
    for count in range(1, 1001):
        assert abs(sum(taken[:count]) - share * count) <= 1


def test_the_end_is_a_piece_that_no_text_has(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "</s>\na</s>b\n")
    corpus = prepare([file], tmp_path / "out", CorpusConfig(records="lines", val_frac=0))
    tokenizer = corpus.tokenizer
    assert sides(corpus.train_records, tokenizer) == [("</s>",), ("a</s>b",)]
    assert tokenizer.never_sampled[tokenizer.end_id]
    assert tokenizer.piece(tokenizer.end_id) == "</s>"
    assert tokenizer.decode(corpus.train) == "</s>a</s>b"


def test_a_text_has_no_end_and_no_records(tmp_path: Path, source: Path) -> None:
    corpus = prepare([source], tmp_path / "out", CorpusConfig())
    assert corpus.tokenizer.end_id == -1
    assert corpus.manifest.records is None
    with pytest.raises(CorpusError, match="without records") as error:
        _ = corpus.train_records
    assert "`records`" in error.value.remedy


def test_what_is_prepared_already_is_opened(here: Path) -> None:
    write(here / "a.jsonl", jsonl(*POEMS))
    corpus = chargen.prepare("a.jsonl", label_key=["author"])
    before = {path: path.stat().st_mtime_ns for path in corpus.path.iterdir()}
    for again in (
        chargen.prepare("a.jsonl", label_key=("author",)),
        chargen.prepare("a.jsonl", label_key="author", records="labels"),
    ):
        assert again.path == corpus.path
    assert {path: path.stat().st_mtime_ns for path in corpus.path.iterdir()} == before
    others = [
        chargen.prepare("a.jsonl", label_key=["form"]),
        chargen.prepare("a.jsonl", label_key=["form", "author"]),
        chargen.prepare("a.jsonl", records="labels"),
        chargen.prepare("a.jsonl", records="lines"),
        chargen.prepare("a.jsonl"),
    ]
    assert len({corpus.path, *(other.path for other in others)}) == 6


def test_a_folder_may_change_from_records_to_a_text_and_back(tmp_path: Path) -> None:
    file, out = write(tmp_path / "a.jsonl", jsonl(*POEMS)), tmp_path / "out"
    for config in (AUTHORS, CorpusConfig(), AUTHORS):
        with_labels = bool(config.label_key)
        corpus = prepare([file], out, config, force=True)
        assert (out / "train.labels.bin").exists() is with_labels
        assert bool(corpus.manifest.records) is with_labels


def test_a_torn_folder_in_the_cache_is_made_again(here: Path) -> None:
    write(here / "a.jsonl", jsonl(*POEMS))
    corpus = chargen.prepare("a.jsonl", label_key=["author"])
    before = contents(corpus.path)
    (corpus.path / "manifest.json").write_text("torn")
    assert chargen.prepare("a.jsonl", label_key=["author"]).path == corpus.path
    assert contents(corpus.path) == before


def test_too_few_records_for_validation_are_remarked_on(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", jsonl(*POEMS[:9]))
    few = prepare([file], tmp_path / "few", AUTHORS).manifest
    assert any("none is kept for validation" in line for line in remarks_on_sizes(few))
    assert "9 records, " in text_line(few)
    wanted = CorpusConfig(label_key=("author",), val_frac=0)
    none = prepare([file], tmp_path / "none", wanted).manifest
    assert not any("kept for validation" in line for line in remarks_on_sizes(none))


def test_sides_in_another_order_are_another_corpus(here: Path) -> None:
    write(here / "a", "一二\n三四\n")
    write(here / "b", "甲乙\n丙丁\n")
    corpus = chargen.prepare(["a", "b"], records="pairs")
    other = chargen.prepare(["b", "a"], records="pairs")
    swapped = chargen.prepare(["a", "b"], records="pairs", reverse=True)
    assert len({corpus.path, other.path, swapped.path}) == 3
    assert sides(other.train_records, other.tokenizer) == [("甲乙", "一二"), ("丙丁", "三四")]
    assert (swapped.train == other.train).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no records"),
        ("text,author\n", "no records"),
        (JSON.replace("乙", "甲"), "'author' is '甲' wherever"),
        ('{"text": "aa", "author": "x"}\n{"text": "a", "author": "y"}\n', "only one distinct"),
        (JSON + "{}\n", "line 5"),
    ],
)
def test_records_that_teach_nothing_leave_nothing(
    tmp_path: Path, content: str, message: str
) -> None:
    file = write(tmp_path / "a.jsonl" if "{" in content else tmp_path / "a.csv", content)
    with pytest.raises(CorpusError, match=message) as error:
        prepare([file], tmp_path / "new/out", AUTHORS)
    assert error.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_too_many_values_are_no_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargen.corpus.record_survey.MOST_VALUES", 1000)
    rows = (f'{{"text": "ab", "author": {n}}}\n' for n in range(1002))
    with pytest.raises(CorpusError, match=r"line 1001: .*more than 1,000 values"):
        prepare([write(tmp_path / "a.jsonl", "".join(rows))], tmp_path / "out", AUTHORS)


def test_records_that_change_meanwhile_are_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", jsonl(*POEMS))

    def change(progress: PrepareProgress) -> None:
        if progress.phase == "encode" and not progress.done:
            write(file, jsonl(*POEMS).replace("甲", "丁"))

    with pytest.raises(CorpusError, match="changed while"):
        prepare([file], tmp_path / "out", AUTHORS, change)
    assert not (tmp_path / "out").exists()


def test_memory_is_bounded(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        file = write(tmp_path / "a.jsonl", (jsonl({"text": "山水" * 1500}) * count))
        tracemalloc.start()
        prepare([file], tmp_path / "out", CorpusConfig(records="labels"), force=True)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # imports, and tables that stay
    small, large = peak(400), peak(1000)  # 4 and 9 MB
    assert large < small + (1 << 20)


@pytest.mark.parametrize(
    ("settings_", "content", "hint"),
    [
        ({}, JSON, "keys id, text, author"),
        ({"records": "lines"}, JSON, "name `label_key`"),
        ({}, "__label__a text\n__label__b more\n", "`records=labels`"),
        ({}, "src\ttrg\n一\t二\n", "`records=pairs`"),
        ({"records": "pairs"}, "src\ttrg\n一 二\t三 四\n", "separated by blanks"),
    ],
)
def test_what_looks_like_something_else_is_warned_of(
    tmp_path: Path, settings_: dict[str, str], content: str, hint: str
) -> None:
    file = write(tmp_path / "a.txt", content)
    corpus = prepare([file], tmp_path / "out", CorpusConfig(**settings_))  # type: ignore[arg-type]
    assert [hint in line for line in corpus.manifest.warnings] == [True]
