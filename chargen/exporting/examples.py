"""Lines of shipped texts for the sample of a card, for models that need a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

from chargen.corpus.shipped import shipped_text
from chargen.corpus.tokenizer import Tokenizer
from chargen.runs.loaded import LoadedModel

_COUNT = 3
_SHIPPED = {"zh": "jueju", "en": "riverside"}
"""The shipped text whose lines a model of a language is given."""
_LEAST, _MOST = 5, 80
_SENTENCE = re.compile(r"[^\n。！？.!?]+[。！？.!?]")
_MARKS = re.compile(r"[^\w\s]+")


def shipped_lines(loaded: LoadedModel, language: str | None) -> tuple[tuple[str, ...], str]:
    """Lines of a text that comes with chargen, and a sentence on them; none if no text suits.

    They are its first sentences of which the vocabulary has every character. For a vocabulary
    without punctuation they are the first parts of sentences.
    """
    name = _SHIPPED.get(language or "")
    if name is None:
        return (), ""
    content = shipped_text(name).read_bytes()
    learnt = sha256(content).hexdigest() in {each.sha256 for each in loaded.config.corpus.sources}
    about = f"The lines are from `{name}`, a text that comes with chargen"
    about += ", and that the model has learnt from." if learnt else "."
    return tuple(islice(_lines(content.decode("utf-8"), loaded.tokenizer), _COUNT)), about


def _lines(text: str, tokenizer: Tokenizer) -> Iterator[str]:
    for sentence in _SENTENCE.findall(text):
        line = sentence.strip()
        if tokenizer.unseen(line):
            line = _MARKS.split(line)[0].strip()
        if _LEAST <= len(line) <= _MOST and not tokenizer.unseen(line):
            yield line
