"""A tokenizer as a table, for programs without SentencePiece."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.loops import kinds_of
from chargen.runs.loaded import LoadedModel

FILE = "tokenizer.json"


def table_of(loaded: LoadedModel) -> dict[str, Any]:
    """The pieces of a run, and how texts are read and written with them.

    Returns:
        - ``pieces``: the character of each piece; empty for bytes and reserved pieces
        - ``bytes``: the pieces of the bytes 0 to 255, or nothing where there are none
        - ``newline``, ``unknown``: ids; the newline is read before every text
        - ``end``: the id of the piece that ends a text; -1: there is none
        - ``never``: ids that are never drawn
        - ``kinds``: a digit for each piece, see ``chargen.generation.loops``
        - ``convert``: the conversion of script that a prompt has to go through
    """
    tokenizer = loaded.tokenizer
    end = tokenizer.end_id if loaded.config.model.records else -1
    never = [int(n) for n in np.flatnonzero(tokenizer.never_sampled) if n != end]
    return {
        "pieces": [_character(tokenizer, n) for n in range(tokenizer.size)],
        "bytes": _pieces_of_bytes(tokenizer),
        "newline": tokenizer.newline_id,
        "unknown": tokenizer.unk_id,
        "end": end,
        "never": never,
        "kinds": "".join(map(str, kinds_of(tokenizer).tolist())),
        "convert": loaded.config.corpus.settings.convert,
    }


def table_bytes(loaded: LoadedModel) -> bytes:
    """The content of ``tokenizer.json``."""
    return (json.dumps(table_of(loaded), ensure_ascii=False) + "\n").encode()


def _character(tokenizer: Tokenizer, id_: int) -> str:
    reserved = tokenizer.never_sampled[id_] or tokenizer.byte_values[id_] >= 0
    return "" if reserved else tokenizer.piece(id_)


def _pieces_of_bytes(tokenizer: Tokenizer) -> list[int]:
    values = tokenizer.byte_values
    found = np.flatnonzero(values >= 0)
    return [int(n) for n in found[np.argsort(values[found])]]
