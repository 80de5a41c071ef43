from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargen.errors import GenerationError
from chargen.evaluation import copying
from chargen.evaluation.copying import CopyFinder

SOME = st.text("ab春江😀", max_size=40)


@settings(max_examples=150, deadline=None)
@given(SOME, SOME.filter(bool), st.integers(1, 4))
def test_copies_agree_with_looking_everywhere(text: str, corpus: str, least: int) -> None:
    runs = [
        (start, end)
        for start in range(len(text))
        for end in range(start + least, len(text) + 1)
        if text[start:end] in corpus
    ]
    longest = [
        (a, b) for a, b in runs if not any((c, d) != (a, b) and c <= a and b <= d for c, d in runs)
    ]
    assert CopyFinder(corpus).copies(text, least) == longest


def test_a_corpus_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MOST_BYTES", 10)
    with pytest.raises(GenerationError, match="more than"):
        CopyFinder("春江花月")
