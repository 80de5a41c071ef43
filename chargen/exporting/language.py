"""The language of a text, where its script shows it."""

from __future__ import annotations

import unicodedata
from collections import Counter

from chargen.corpus.tokenizer import Tokenizer


def language_of(tokenizer: Tokenizer) -> str | None:
    """The language that most characters of a vocabulary belong to: zh, ja, ko, or None.

    None means a script that several languages share.
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
