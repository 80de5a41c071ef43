"""Options for preparing a text."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from chargen.options.field import Config, option

PREPARING = "Preparation of the text"


def _text_encoding(name: str) -> str | None:
    """Return what is allowed where ``name`` is neither ``auto`` nor a Python codec for text."""
    try:
        # Not an empty string: every codec decodes that, even one that isn't for text.
        if name != "auto":
            b"a".decode(name, "ignore")
            codecs.getincrementaldecoder(name)
    except (LookupError, UnicodeError, ValueError):
        return "auto or an encoding such as utf-8, gb18030, big5, utf-16 or shift_jis"
    return None


@dataclass(frozen=True)
class CorpusConfig(Config):
    """How a text is read, which vocabulary it gets, and how it is split."""

    vocab_size: int = option(
        3000,
        "Characters kept, the most frequent ones; reserved pieces come on top",
        low=1,
        panel=PREPARING,
    )
    oov: str = option(
        "auto",
        "Treatment of the other characters",
        choices={
            "auto": "bytes if the text needs them",
            "bytes": "as UTF-8 bytes, without loss",
            "unk": "as <unk>",
        },
        panel=PREPARING,
    )
    encoding: str = option(
        "auto",
        "Encoding of the text, such as gb18030; auto detects it",
        rule=_text_encoding,
        panel=PREPARING,
    )
    errors: str = option(
        "strict",
        "Treatment of bytes that can't be decoded",
        choices={"strict": "an error", "replace": "U+FFFD instead"},
        panel=PREPARING,
    )
    convert: str = option(
        "none",
        "Conversion of Chinese",
        choices={
            "none": "",
            "t2s": "traditional to simplified",
            "s2t": "simplified to traditional",
        },
        panel=PREPARING,
    )
    unwrap: str = option(
        "auto",
        "Lines that were wrapped in the middle of sentences",
        choices={"auto": "joined where they are recognised", "yes": "joined", "no": "kept"},
        panel=PREPARING,
    )
    val_frac: float = option(
        0.1,
        "Share of the text, at its end, kept for validation; 0: none",
        low=0,
        below=1,
        panel=PREPARING,
    )
