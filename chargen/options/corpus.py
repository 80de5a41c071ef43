"""Options for preparing a text."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.options.field import Config, option

PREPARING = "Preparation of the text"
RECORDS = "Records: texts of their own"


def is_text_encoding(name: str) -> bool:
    """Whether ``name`` is a Python codec for text."""
    try:
        # Not an empty string: every codec decodes that, even one that isn't for text.
        b"a".decode(name, "ignore")
        codecs.getincrementaldecoder(name)
    except (LookupError, UnicodeError, ValueError):
        return False
    return True


def _text_encoding(name: str) -> str | None:
    """Return what is allowed where ``name`` is neither ``auto`` nor a Python codec for text."""
    if name == "auto" or is_text_encoding(name):
        return None
    return "auto or an encoding such as utf-8, gb18030, big5, utf-16 or shift_jis"


@dataclass(frozen=True)
class CorpusConfig(Config):
    """How a text is read, which vocabulary it gets, and how it is split.

    With ``label_key``, what is read are records with labels: ``records`` becomes ``labels``.
    """

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
        "Share kept for validation, at the end of a text, evenly out of records; 0: none",
        low=0,
        below=1,
        panel=PREPARING,
    )
    records: str = option(
        "none",
        "What a text is divided into",
        choices={
            "none": "one stream of text",
            "lines": "each line a text of its own",
            "labels": "each record a text with labels",
            "pairs": "each record a text and its answer",
        },
        panel=RECORDS,
    )
    text_key: str = option("text", "Column or JSON key of the text", panel=RECORDS)
    label_key: tuple[str, ...] = option(
        (), "Column or JSON key of a label, such as author; repeatable", panel=RECORDS
    )
    reverse: bool = option(False, "Swap the sides of pairs", panel=RECORDS)

    def __post_init__(self) -> None:
        if self.label_key and self.records == "none":
            object.__setattr__(self, "records", "labels")

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        keys = tuple(values.get("label_key", ()))
        kind = values.get("records", "none")
        kind = "labels" if keys and kind == "none" else kind
        found = []
        if keys and kind != "labels":
            found.append(f"`label_key` goes with `records=labels`, not with `records={kind}`")
        if values.get("text_key", "text") != "text" and kind != "labels":
            found.append("`text_key` goes with `label_key` or `records=labels`")
        if values.get("reverse") and kind != "pairs":
            found.append("`reverse` goes with `records=pairs`")
        if values.get("unwrap") == "yes" and kind != "none":
            found.append(f"`unwrap=yes` joins lines, which `records={kind}` keeps apart")
        if len(set(keys)) < len(keys):
            found.append(f"`label_key` names {', '.join(keys)}, one of them twice")
        if values.get("text_key", "text") in keys:
            found.append(f"`label_key` and `text_key` both name {values.get('text_key', 'text')}")
        return found
