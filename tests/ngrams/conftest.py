from __future__ import annotations

import pytest

from chargen.ngrams import automaton, counting, texts, trie


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is computed in parts is, on the smallest text too."""
    monkeypatch.setattr(counting, "_BLOCK", 7)
    monkeypatch.setattr(texts, "_BLOCK", 5)
    monkeypatch.setattr(trie, "_BLOCK", 3)
    monkeypatch.setattr(trie, "_MANY", 2)
    monkeypatch.setattr(automaton, "_TABLE", 10)
