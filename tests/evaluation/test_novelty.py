from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargen.errors import GenerationError
from chargen.evaluation.novelty import longest_runs, measure, read_texts
from tests.generation.conftest import TEXT

SOME = st.text("ab春江😀", max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(SOME, min_size=1, max_size=4), SOME)
def test_longest_runs_agree_with_looking_everywhere(texts: list[str], corpus: str) -> None:
    for text, runs in zip(texts, longest_runs(texts, corpus), strict=True):
        assert runs.tolist() == [
            max(k for k in range(len(text) - n + 1) if text[n : n + k] in corpus)
            for n in range(len(text))
        ]


def test_what_is_copied_is_found() -> None:
    copied, own = TEXT[500:540], "天地玄黄宇宙洪荒日月盈昃辰宿列张" * 2
    report = measure({"a": own + copied + own, "b": own}, TEXT)
    a, b = report.longest
    assert copied.strip() in a.text
    assert a.characters == len("".join(a.text.split())) >= 35
    assert a.text in TEXT
    assert b.characters < 8
    want = sum((own + copied + own)[n : n + 8] in TEXT for n in range(97))
    assert report.copied_ngrams[8] == pytest.approx(want / (97 + 25))
    assert report.texts == 2


@settings(max_examples=100, deadline=None)
@given(st.text("ab 春\n\t", max_size=30), st.text("ab 春\n", max_size=40))
def test_the_longest_copy_agrees_with_looking_everywhere(text: str, corpus: str) -> None:
    (found,) = measure({1: text}, corpus).longest
    parts = (text[n:m] for n in range(len(text)) for m in range(n + 1, len(text) + 1))
    sizes = [len("".join(part.split())) for part in parts if part in corpus]
    assert found.characters == len("".join(found.text.split())) == max(sizes, default=0)
    assert found.text == found.text.strip()
    assert found.of == len("".join(text.split()))
    if found.characters:
        assert found.offset == corpus.index(found.text)
        assert found.line == 1 + corpus[: found.offset].count("\n")
        assert found.text in text
    else:
        assert (found.text, found.offset, found.line) == ("", None, None)


def test_blank_lines_are_no_copy() -> None:
    corpus = "春眠不觉晓\n\n\n\n\n\n\n\n\n\n处处闻啼鸟\n夜来风雨声\n"
    texts = {"blank": "天\n\n\n\n\n\n\n\n\n地", "verse": "\n\n\n处处闻啼鸟\n天地"}
    blank, verse = measure(texts, corpus).longest
    assert (blank.characters, blank.text, blank.line) == (0, "", None)
    assert (verse.characters, verse.text, verse.line, verse.of) == (5, "处处闻啼鸟", 11, 7)


def test_texts_too_short_for_an_ngram_have_no_share() -> None:
    assert measure({1: "春江花月"}, TEXT).copied_ngrams[8] is None


def test_near_and_exact_duplicates_are_told_apart() -> None:
    text = TEXT[300:500]
    texts = {"a": text, "b": text[:-2] + "xy", "c": text, "d": TEXT[900:1100]}
    report = measure(texts, "nothing")
    assert report.duplicates == 1
    pairs = {(pair.first, pair.second): pair.jaccard for pair in report.alike}
    assert set(pairs) == {("a", "b")}
    assert 0.9 < pairs["a", "b"] < 1


def test_many_exact_duplicates_cost_no_pairs() -> None:
    report = measure(dict.fromkeys(range(2000), TEXT[300:340]), "nothing")
    assert (report.duplicates, report.alike) == (1999, ())


def test_texts_are_read_as_batch_and_sample_write_them(tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    lines.write_text(
        '{"id": 1, "text": "春"}\n{"id": 2, "sample": 0, "text": "江"}\n'
        '{"id": 3, "error": "bad"}\n{"id": 4, "text": ""}\n',
        encoding="utf-8",
    )
    assert read_texts(lines) == {1: "春", "2/0": "江"}
    plain = tmp_path / "out.txt"
    plain.write_text("春\n江\n---\n花\n", encoding="utf-8")
    assert read_texts(plain) == {1: "春\n江", 2: "花"}


def test_texts_of_one_id_are_all_read(tmp_path: Path) -> None:
    lines = tmp_path / "joined.jsonl"
    ids = [{"id": 1}, {"id": 1}, {"id": "1", "sample": 0}, {"id": 1, "sample": 0}, {"id": "1/0"}]
    ids += [{"id": "a"}, {"id": "a (line 8)"}, {"id": "a"}]
    lines.write_text("\n".join(json.dumps({**each, "text": str(n)}) for n, each in enumerate(ids)))
    found = read_texts(lines)
    assert list(found.values()) == [str(n) for n in range(len(ids))]
    assert list(found)[:4] == [1, "1 (line 2)", "1/0", "1/0 (line 4)"]


@pytest.mark.parametrize(
    ("content", "problem"), [('{"id": 1}\n', "Line 1"), ('{"id": 1, "error": ""}', "no texts")]
)
def test_a_file_without_texts_is_an_error(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(GenerationError, match=problem):
        read_texts(path)
