"""What is worth saying about a text and its vocabulary, as a manifest."""

from __future__ import annotations

from collections.abc import Iterable

from chargen.config import CorpusConfig
from chargen.corpus.manifest import Manifest, SourceRecord, Split, Vocabulary
from chargen.corpus.reading import Source
from chargen.corpus.survey import Survey
from chargen.corpus.tokenizer import UNENCODABLE, Tokenizer

_LEFT_OUT_SHOWN = 20


def describe(
    found: Survey,
    tokenizer: Tokenizer,
    config: CorpusConfig,
    *,
    train: Split,
    val: Split,
    files: dict[str, str],
) -> Manifest:
    """The manifest of a surveyed text, whose files hash to ``files``."""
    byte_pieces = int((tokenizer.byte_values >= 0).sum())
    left_out = sorted(left_out_counts(found, tokenizer), key=lambda pair: (-pair[1], pair[0]))
    oov_characters = sum(count for _, count in left_out)
    return Manifest(
        sources=tuple(_record(source) for source in found.sources),
        config=config,
        oov="bytes" if tokenizer.has_bytes else "unk",
        characters=found.characters,
        distinct=len(found.counts),
        vocabulary=Vocabulary(
            tokenizer.size,
            tokenizer.characters_kept,
            byte_pieces,
            tokenizer.size - tokenizer.characters_kept - byte_pieces,
        ),
        coverage=1 - oov_characters / found.characters,
        oov_characters=oov_characters,
        oov_rate=oov_characters / found.characters,
        left_out_distinct=len(left_out),
        left_out=tuple(left_out[:_LEFT_OUT_SHOWN]),
        train=train,
        val=val,
        dtype="uint16" if tokenizer.size <= 1 << 16 else "uint32",
        round_trip="exact" if tokenizer.has_bytes or not left_out else "exact but for <unk>",
        files=files,
        warnings=tuple(_warnings(found, tokenizer)),
    )


def left_out_counts(found: Survey, tokenizer: Tokenizer) -> list[tuple[str, int]]:
    """The characters of a text that have no piece, and how often each occurs."""
    return [(c, found.counts[c]) for c in tokenizer.unseen("".join(found.counts))]


def _record(source: Source) -> SourceRecord:
    return SourceRecord(
        # A name that isn't UTF-8 can't be written in JSON as it stands.
        path=str(source.path).encode("utf-8", "backslashreplace").decode(),
        byte_count=source.byte_count,
        sha256=source.digest.hexdigest(),
        encoding=source.detected.codec,
        encoding_sure=source.detected.sure,
        encoding_note=source.detected.note,
        characters=source.characters,
        mark_dropped=source.mark_dropped,
        crlf=source.crlf,
        cr=source.cr,
        replacements=source.replacements,
        newline_added=source.newline_added,
    )


def _warnings(found: Survey, tokenizer: Tokenizer) -> Iterable[str]:
    for source in found.sources:
        if not source.detected.sure:
            yield (
                f"{source.path} was read as {source.detected.codec}, which is not sure: "
                f"{source.detected.note}. Look at the text, or name its --encoding."
            )
        if source.replacements:
            yield f"{source.path}: {source.replacements} bad byte sequences became U+FFFD."
        if not source.characters:
            yield f"{source.path} is empty."
    special = [f"U+{ord(c):04X}" for c in UNENCODABLE if found.counts.get(c)]
    if special and not tokenizer.has_bytes:
        yield f"{' and '.join(special)} became <unk>, as --oov unk asks; no piece can hold them."
