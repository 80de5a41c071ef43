"""How a text becomes pieces."""

from __future__ import annotations

from dataclasses import dataclass

from chargen.options.field import Config, option

PREPARING = "Preparing the text"


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
        "What becomes of the other characters",
        choices={
            "auto": "bytes where the text needs them",
            "bytes": "UTF-8 bytes, so that nothing is lost",
            "unk": "one <unk> each",
        },
        panel=PREPARING,
    )
    encoding: str = option(
        "auto", "Encoding of the text, such as gb18030; auto detects it", panel=PREPARING
    )
    errors: str = option(
        "strict",
        "What becomes of bytes that don't decode",
        choices={"strict": "an error", "replace": "U+FFFD"},
        panel=PREPARING,
    )
    convert: str = option(
        "none",
        "Conversion between the Chinese scripts",
        choices={"none": "", "t2s": "traditional to simplified", "s2t": "the other way"},
        panel=PREPARING,
    )
    val_frac: float = option(
        0.1,
        "Share of the text, its end, kept for validation; 0: none",
        low=0,
        below=1,
        panel=PREPARING,
    )
