"""The manifest of a text that was just encoded."""

from __future__ import annotations

from collections.abc import Iterable

from chargen import __version__
from chargen.corpus.documents import command_for, is_html
from chargen.corpus.manifest import TOKENIZER, Manifest, SourceRecord, Vocabulary
from chargen.corpus.migration import READING
from chargen.corpus.reading import Source
from chargen.corpus.recognition import first_line, keys_of_json, sides_of
from chargen.corpus.record_formats import listed
from chargen.corpus.split_writer import Written
from chargen.corpus.survey import Survey
from chargen.corpus.tokenizer import UNENCODABLE, Tokenizer
from chargen.options import CorpusConfig

_LEFT_OUT_SHOWN = 20


def build_manifest(
    name: str,
    found: Survey,
    tokenizer: Tokenizer,
    config: CorpusConfig,
    written: Written,
) -> Manifest:
    """Describe a surveyed text and its vocabulary.

    Args:
        name: what the corpus is called.
        found: the survey.
        tokenizer: the vocabulary.
        config: the settings.
        written: what was written besides the vocabulary and the manifest.
    """
    byte_pieces = int((tokenizer.byte_values >= 0).sum())
    left_out = sorted(left_out_counts(found, tokenizer), key=lambda pair: (-pair[1], pair[0]))
    oov_characters = sum(count for _, count in left_out)
    return Manifest(
        name=name,
        chargen_version=__version__,
        sources=tuple(map(_record, found.sources, found.digests)),
        config=config,
        reading=READING,
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
        train=written.train,
        val=written.val,
        dtype=tokenizer.dtype.name,
        round_trip="exact" if tokenizer.has_bytes or not left_out else "exact but for <unk>",
        files={TOKENIZER: tokenizer.sha256, **written.files},
        warnings=tuple(_warnings(found, tokenizer)),
        records=written.records,
    )


def left_out_counts(found: Survey, tokenizer: Tokenizer) -> list[tuple[str, int]]:
    """List the characters of a text that have no piece, with their counts."""
    return [(c, found.counts[c]) for c in tokenizer.unseen("".join(found.counts))]


def _record(source: Source, sha256: str) -> SourceRecord:
    return SourceRecord(
        name=source.file.name,
        byte_count=source.byte_count,
        sha256=sha256,
        encoding=source.detected.codec,
        encoding_sure=source.detected.sure,
        encoding_note=source.detected.note,
        characters=source.characters,
        mark_dropped=source.mark_dropped,
        crlf=source.crlf,
        cr=source.cr,
        replacements=source.replacements,
        newline_added=source.newline_added,
        joined=source.joined,
    )


def _warnings(found: Survey, tokenizer: Tokenizer) -> Iterable[str]:
    for source in found.sources:
        name = source.file.name
        if not source.detected.sure:
            yield (
                f"{name} was read as {source.detected.codec}, which is not certain: "
                f"{source.detected.note}. Look at the text, or name its `encoding`."
            )
        if lost := source.replacements:
            yield f"{name}: {lost:,} undecodable byte sequence{'s' * (lost > 1)} became U+FFFD."
        if not source.document and is_html(source.path):
            yield (
                f"{name} is a page in HTML, whose tags are learnt with its text. "
                + command_for("html", name)
            )
        if not source.characters:
            yield f"{name} is empty."
        if found.records is None or found.records.kind == "lines":
            yield from _looks_like_records(source)
    if found.records and found.records.blanks_dropped:
        yield "The characters are separated by blanks, which were left out."
    special = [f"U+{ord(c):04X}" for c in UNENCODABLE if found.counts.get(c)]
    if special and not tokenizer.has_bytes:
        yield f'{" and ".join(special)} became <unk>, since `oov="unk"`: no piece can hold them.'


def _looks_like_records(source: Source) -> Iterable[str]:
    """Warn of a file that is learnt as a text, keys and all, and has the form of records."""
    line, name = first_line(source), source.file.name
    if keys := keys_of_json(line):
        yield (
            f"{name} looks like JSON lines with the keys {listed(keys)}, and is learnt as a text, "
            "keys and all. To learn its records, name `label_key`, or give `records=labels`."
        )
    elif line.startswith("__label__"):
        yield (
            f"{name} looks like texts with labels, and is learnt as one text, labels and all. To "
            "learn them as records, give `records=labels`."
        )
    elif "\t" in line and None not in sides_of(tuple(line.split("\t"))):
        yield (
            f"{name} looks like pairs, and is learnt as one text. To learn them as records, give "
            "`records=pairs`."
        )
