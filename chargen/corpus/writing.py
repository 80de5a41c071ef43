"""The second pass over a text: encode it, verify that it decodes to the same, write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chargen.corpus.description import build_manifest, left_out_counts
from chargen.corpus.manifest import MANIFEST, MOST_BYTES, TOKENIZER, TRAIN, VAL
from chargen.corpus.progress import ByteCounter
from chargen.corpus.record_writing import write_records
from chargen.corpus.split_writer import SplitWriter, Written, lossy, verify_round_trip
from chargen.corpus.splitting import split_chunks, split_point
from chargen.corpus.survey import Survey, same_text
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.options import CorpusConfig

WriteText = Callable[[Path, Survey, Tokenizer, CorpusConfig, ByteCounter], Written]


def write_corpus(
    folder: Path,
    name: str,
    found: Survey,
    tokenizer: Tokenizer,
    config: CorpusConfig,
    counter: ByteCounter,
    write_text: WriteText | None = None,
) -> None:
    """Encode the surveyed text into ``folder``, which is empty, and write its manifest there.

    ``write_text`` encodes what has no records, in place of this process alone.

    Raises:
        CorpusError: a file changed since the survey, or the tokens don't decode to their text.
        OSError: raised by the operating system on writing.
    """
    counter.begin("encode")
    if found.records:
        written = write_records(folder, found, found.records, tokenizer, config, counter)
    else:
        written = (write_text or _write_text)(folder, found, tokenizer, config, counter)
    expected = sum(count for _, count in left_out_counts(found, tokenizer))
    characters = written.train.characters + written.val.characters
    if characters != found.characters or written.unknown != (
        0 if tokenizer.has_bytes else expected
    ):
        raise lossy()
    tokenizer.save(folder / TOKENIZER)
    manifest = build_manifest(name, found, tokenizer, config, written)
    text = manifest.to_json().encode("utf-8")
    if len(text) > MOST_BYTES:
        raise CorpusError(
            f"The description of the corpus would have {len(text):,} bytes, more than "
            f"{MOST_BYTES:,}.",
            "Name fewer labels with `label_key`, or prepare fewer files.",
        )
    (folder / MANIFEST).write_bytes(text)


def _write_text(
    folder: Path, found: Survey, tokenizer: Tokenizer, config: CorpusConfig, counter: ByteCounter
) -> Written:
    """Encode a text as one stream."""
    target, reach = split_point(found.characters, config.val_frac)
    with (folder / TRAIN).open("wb") as train_file, (folder / VAL).open("wb") as val_file:
        train, val = SplitWriter(train_file), SplitWriter(val_file)
        chunks = same_text(found, config, counter)
        unknown = 0
        for is_val, text in split_chunks(chunks, target, reach):
            ids = tokenizer.encode(text).astype(tokenizer.dtype)
            unknown += verify_round_trip(tokenizer, text, ids)
            (val if is_val else train).write(ids, len(text))
    return Written(train.split, val.split, {TRAIN: train.sha256, VAL: val.sha256}, unknown)
