"""The language of a run's text, as far as its script tells it."""

from __future__ import annotations

import unicodedata
from collections import Counter

from chargen.corpus.tokenizer import Tokenizer


def language_of(tokenizer: Tokenizer) -> str | None:
    """The language that most characters of a vocabulary tell: zh, ja, ko, or None.

    A script that several languages share tells none.
    """
    scripts = Counter(
        unicodedata.name(character, "NONE").split()[0]
        for n in range(tokenizer.size)
        if (character := tokenizer.piece(n)) and len(character) == 1 and character.isalpha()
    )
    most = sum(scripts.values()) / 2
    han = scripts["CJK"]
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if kana and han + kana > most:
        return "ja"
    if scripts["HANGUL"] > most:
        return "ko"
    return "zh" if han > most else None
