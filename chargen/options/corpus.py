"""Options for preparing a text."""

from __future__ import annotations

from dataclasses import dataclass

from chargen.options.field import Config, option

PREPARING = "Preparation of the text"


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
        "auto", "Encoding of the text, such as gb18030; auto detects it", panel=PREPARING
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
