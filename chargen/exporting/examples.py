"""Lines for the sample of a card, which a model is given where it writes none by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from chargen.corpus.shipped import shipped_text
from chargen.corpus.tokenizer import Tokenizer

_COUNT = 3
_SHIPPED = {"zh": "jueju", "en": "riverside"}
"""The shipped text whose lines a model of a language is given."""
_LEAST, _MOST = 5, 80
_SENTENCE = re.compile(r"[^\n。！？.!?]+[。！？.!?]")
_MARKS = re.compile(r"[^\w\s]+")


def shipped_lines(tokenizer: Tokenizer, language: str | None) -> tuple[tuple[str, ...], str]:
    """Lines of a text that comes with chargen, and the text's name; none where none suits.

    They are its first sentences of which the vocabulary has every character. Of a vocabulary
    without punctuation they are the first parts of sentences.
    """
    name = _SHIPPED.get(language or "", "")
    if not name:
        return (), ""
    text = shipped_text(name).read_text("utf-8")
    found = tuple(islice(_lines(text, tokenizer), _COUNT))
    return (found, name) if found else ((), "")


def _lines(text: str, tokenizer: Tokenizer) -> Iterator[str]:
    for sentence in _SENTENCE.findall(text):
        line = sentence.strip()
        if tokenizer.unseen(line):
            line = _MARKS.split(line)[0].strip()
        if _LEAST <= len(line) <= _MOST and not tokenizer.unseen(line):
            yield line
