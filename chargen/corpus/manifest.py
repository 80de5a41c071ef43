"""What a prepared corpus says of itself: ``manifest.json``, typed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chargen.config import CorpusConfig
from chargen.errors import CorpusError, system_error_text

FORMAT = "chargen-corpus"
VERSION = 1
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.model"
TRAIN = "train.bin"
VAL = "val.bin"


@dataclass(frozen=True)
class SourceRecord:
    """One file that the corpus was made from.

    Attributes:
        path: as it was given, for the reader; ``sha256`` tells whether it's the same.
        byte_count: its size.
        sha256: of its bytes.
        encoding: the codec it was read with.
        encoding_sure: False where the detection could be wrong.
        encoding_note: how the encoding is known.
        characters: of its clean text.
        mark_dropped: a byte order mark at its beginning was dropped.
        crlf, cr: line ends that became LF.
        replacements: bad byte sequences that became U+FFFD.
        newline_added: a line end was put between it and the next file.
    """

    path: str
    byte_count: int
    sha256: str
    encoding: str
    encoding_sure: bool
    encoding_note: str
    characters: int
    mark_dropped: bool
    crlf: int
    cr: int
    replacements: int
    newline_added: bool


@dataclass(frozen=True)
class Vocabulary:
    """|V| and what it is made of.

    Attributes:
        size: |V|, the length of a one-hot vector.
        characters: pieces that are characters.
        byte_pieces: 256, or 0.
        reserved: ``<unk>`` and control pieces, never sampled.
    """

    size: int
    characters: int
    byte_pieces: int
    reserved: int


@dataclass(frozen=True)
class Split:
    """One part of the text: characters, and the pieces that they became."""

    characters: int
    pieces: int


@dataclass(frozen=True)
class Manifest:
    """All that is known about a prepared corpus.

    Attributes:
        sources: the files, in order.
        config: the settings asked for.
        oov: what came of ``auto``: ``bytes`` or ``unk``.
        characters: of the whole text.
        distinct: different characters in it.
        vocabulary: |V| and its parts.
        coverage: share of the text's characters that the vocabulary keeps.
        oov_characters: characters of the text that it doesn't.
        oov_rate: their share, 1 - coverage.
        left_out_distinct: different characters that aren't kept.
        left_out: the most frequent of them, with their counts.
        train, val: the two parts of the text.
        dtype: of the ``.bin`` files, little-endian: ``uint16`` or ``uint32``.
        round_trip: ``exact``, or ``exact but for <unk>``: verified on the whole text.
        files: SHA-256 of each other file of the folder.
        warnings: what a careful reader should know, one line each.
    """

    sources: tuple[SourceRecord, ...]
    config: CorpusConfig
    oov: str
    characters: int
    distinct: int
    vocabulary: Vocabulary
    coverage: float
    oov_characters: int
    oov_rate: float
    left_out_distinct: int
    left_out: tuple[tuple[str, int], ...]
    train: Split
    val: Split
    dtype: str
    round_trip: str
    files: dict[str, str]
    warnings: tuple[str, ...]

    @property
    def replacements(self) -> int:
        """Bad byte sequences that became U+FFFD, in all sources."""
        return sum(source.replacements for source in self.sources)

    @property
    def newlines_converted(self) -> int:
        """CR LF and CR that became LF, in all sources."""
        return sum(source.crlf + source.cr for source in self.sources)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, format and version first."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest in ``folder``.

    Raises:
        CorpusError: it's missing, damaged, of something else, or of another format version.
    """
    values = manifest_values(folder)
    version = values.pop("version", None)
    if version != VERSION:
        raise CorpusError(
            f"The prepared corpus {folder} has format version {version}; this chargen reads "
            f"{VERSION}.",
            "Prepare it again with this version.",
        )
    from pydantic import TypeAdapter, ValidationError

    values.pop("format")
    try:
        return TypeAdapter(Manifest).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CorpusError(
            f"{folder / MANIFEST} is damaged: {where}: {first['msg']}.", "Prepare it again."
        ) from error


def manifest_values(folder: Path) -> dict[str, Any]:
    """The manifest's JSON as it stands, of whichever version; CorpusError if it's none of ours."""
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CorpusError(
            f"{folder} is not a prepared corpus: it has no {MANIFEST}.",
            "Make one with: chargen prepare FILES... --out DIR",
        ) from error
    except OSError as error:
        raise CorpusError(
            f"Can't read a prepared corpus: {system_error_text(error)}.", "Check its permissions."
        ) from error
    except ValueError as error:
        raise CorpusError(f"{path} is damaged: {error}.", "Prepare it again.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CorpusError(
            f"{path} is not the manifest of a prepared corpus.",
            "Make one with: chargen prepare FILES... --out DIR",
        )
    return values
