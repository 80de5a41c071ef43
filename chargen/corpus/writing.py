"""The second pass over a text: encode it, verify that it decodes to the same, write it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

import numpy as np

from chargen.corpus.description import build_manifest, left_out_counts
from chargen.corpus.manifest import MANIFEST, TOKENIZER, TRAIN, VAL, Split
from chargen.corpus.progress import ByteCounter
from chargen.corpus.splitting import split_chunks, split_point
from chargen.corpus.survey import Survey, same_text
from chargen.corpus.tokenizer import Tokenizer, code_points
from chargen.corpus.tokens import Tokens
from chargen.errors import CorpusError
from chargen.options import CorpusConfig


def write_corpus(
    folder: Path,
    name: str,
    found: Survey,
    tokenizer: Tokenizer,
    config: CorpusConfig,
    counter: ByteCounter,
) -> None:
    """Encode the surveyed text into ``folder``, which is empty, and write its manifest there.

    Raises:
        CorpusError: a file changed since the survey, or the tokens don't decode to their text.
        OSError: raised by the operating system on writing.
    """
    dtype = np.dtype("<u2" if tokenizer.size <= 1 << 16 else "<u4")
    target, reach = split_point(found.characters, config.val_frac)
    counter.begin("encode")
    with (folder / TRAIN).open("wb") as train_file, (folder / VAL).open("wb") as val_file:
        train, val = _SplitWriter(train_file), _SplitWriter(val_file)
        chunks = same_text(found, config, counter)
        unknown = 0
        for is_val, text in split_chunks(chunks, target, reach):
            ids = tokenizer.encode(text).astype(dtype)
            unknown += _verify_round_trip(tokenizer, text, ids)
            (val if is_val else train).write(ids, len(text))
    expected = sum(count for _, count in left_out_counts(found, tokenizer))
    if train.characters + val.characters != found.characters or unknown != (
        0 if tokenizer.has_bytes else expected
    ):
        raise _lossy()
    tokenizer.save(folder / TOKENIZER)
    files = {TOKENIZER: tokenizer.sha256, TRAIN: train.sha256, VAL: val.sha256}
    manifest = build_manifest(
        name, found, tokenizer, config, train=train.split, val=val.split, files=files
    )
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


class _SplitWriter:
    """Writes tokens to a file, and counts and hashes them."""

    def __init__(self, file: IO[bytes]) -> None:
        self.characters = 0
        self._pieces = 0
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, ids: Tokens, characters: int) -> None:
        data = ids.tobytes()
        self._file.write(data)
        self._digest.update(data)
        self._pieces += len(ids)
        self.characters += characters

    @property
    def split(self) -> Split:
        return Split(self.characters, self._pieces)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _verify_round_trip(tokenizer: Tokenizer, text: str, ids: Tokens) -> int:
    """Count the <unk> in ``ids``; CorpusError unless all else decodes to exactly ``text``."""
    decoded = tokenizer.decode(ids)
    if decoded == text and tokenizer.has_bytes:
        return 0
    known = ids != tokenizer.unk_id
    if tokenizer.has_bytes or not len(decoded) == len(text) == len(ids):
        raise _lossy()
    if not np.array_equal(code_points(decoded)[known], code_points(text)[known]):
        raise _lossy()
    return int((~known).sum())


def _lossy() -> CorpusError:
    return CorpusError(
        "The tokens don't decode to the text that they were made from; nothing was written.",
        "This is a defect of chargen: please report it, with the text.",
    )
