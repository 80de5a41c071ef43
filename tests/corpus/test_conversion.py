from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargen.corpus.conversion import converted, converter
from chargen.corpus.reading import read_text
from chargen.errors import MissingExtraError
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, TRADITIONAL


def words(text: str) -> str:
    """A stand-in for OpenCC that looks at pairs of Han characters."""
    return text.replace("头发", "頭髮").replace("发", "發")


def cut(text: str, size: int) -> Iterator[str]:
    return (text[i : i + size] for i in range(0, len(text), size))


@given(text=st.text(st.sampled_from("头发\n，a"), max_size=60), size=st.integers(1, 9))
def test_chunks_convert_as_the_whole_text_does(text: str, size: int) -> None:
    assert "".join(converted(cut(text, size), words)) == words(text)


@given(text=st.text(st.sampled_from("头发，"), max_size=90), size=st.integers(1, 9))
def test_a_line_too_long_is_cut_where_no_word_is(text: str, size: int) -> None:
    text = text.replace("头发头发", "头发，")
    assert "".join(converted(cut(text, size), words, longest=20)) == words(text)


def test_text_without_any_break_is_held_no_longer_than_asked() -> None:
    pieces = list(converted(cut("山" * 1000, 10), str, longest=50))
    assert "".join(pieces) == "山" * 1000
    assert max(map(len, pieces)) <= 60


def test_opencc_converts_both_ways(tmp_path: Path) -> None:
    pytest.importorskip("opencc")
    path = tmp_path / "text.txt"
    path.write_text(TRADITIONAL, encoding="utf-8")
    assert read_text(path, CorpusConfig(convert="t2s")).startswith("清晨的渔村还没有完全醒来，雾气")
    path.write_text(CHINESE + "头发发展\0", encoding="utf-8")
    traditional = read_text(path, CorpusConfig(convert="s2t"))
    assert traditional.startswith("清晨的漁村還沒有完全醒來")
    assert traditional.endswith("頭髮發展\0")


def test_without_opencc_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(MissingExtraError, match=r"\[convert\]"):
        converter("t2s")
