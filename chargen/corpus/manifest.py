"""The description of a prepared corpus, ``manifest.json``, with types."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.corpus.migration import FORMAT, VERSION, migrated
from chargen.corpus.record_description import RecordsDescription
from chargen.errors import CorpusError, system_error_text
from chargen.files import read_json, sha256_of_values
from chargen.options import CorpusConfig

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.model"
TRAIN = "train.bin"
VAL = "val.bin"
TRAIN_LABELS = "train.labels.bin"
VAL_LABELS = "val.labels.bin"
FILES: tuple[str, ...] = (TOKENIZER, TRAIN, VAL)
"""What every corpus has besides its manifest."""
LABEL_FILES: tuple[str, ...] = (TRAIN_LABELS, VAL_LABELS)
"""What one of records with labels has as well."""

_DTYPES = ("uint16", "uint32")
_MOST_PIECES = 0x110000 + 258  # every code point, every byte, <unk> and the end of a record
MOST_BYTES = 1 << 26
_NAME_ONE = "Name a text, or the folder of a prepared corpus."


@dataclass(frozen=True)
class SourceRecord:
    """A file that the corpus was made from.

    Attributes:
        name: its path below the folder that was given, else its file name. Where that was is not
            recorded; ``sha256`` identifies the file.
        byte_count: its size.
        sha256: of its bytes.
        encoding: the codec it was read with.
        encoding_sure: False where the detected encoding may be wrong.
        encoding_note: how the encoding was determined.
        characters: of its clean text.
        mark_dropped: it began with a byte order mark, which was dropped.
        crlf, cr: line ends that became LF.
        replacements: undecodable byte sequences that became U+FFFD.
        newline_added: a line end was added after it, before the next file.
        joined: wrapped lines that were joined to the ones before.
    """

    name: str
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
    joined: int


@dataclass(frozen=True)
class Vocabulary:
    """|V| and its parts.

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
    """A part of the text: its characters, and the pieces that they became."""

    characters: int
    pieces: int


@dataclass(frozen=True)
class Manifest:
    """Everything known about a prepared corpus.

    Attributes:
        name: what it is called, and runs on it are named after: the stem of its first text.
        chargen_version: the release that made it.
        sources: the files, in order.
        config: the settings it was made with.
        reading: the version of what made text of the files.
        oov: what ``auto`` was resolved to: ``bytes`` or ``unk``.
        characters: of the whole text.
        distinct: different characters in it.
        vocabulary: |V| and its parts.
        coverage: share of the text's characters that the vocabulary keeps.
        oov_characters: characters of the text that it doesn't keep.
        oov_rate: their share, 1 - coverage.
        left_out_distinct: different characters that aren't kept.
        left_out: the most frequent of them, with their counts.
        train, val: the two parts of the text.
        dtype: of the ``.bin`` files, little-endian: ``uint16`` or ``uint32``.
        round_trip: ``exact``, or ``exact but for <unk>``; verified on the whole text.
        files: the SHA-256 of each other file in the folder.
        warnings: what a careful reader should know, one line each.
        records: the records that it consists of; None: it is one stream of text.

    In a corpus of records, each end of a text counts as a character, and is a piece.
    """

    name: str
    chargen_version: str
    sources: tuple[SourceRecord, ...]
    config: CorpusConfig
    reading: int
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
    records: RecordsDescription | None

    @property
    def replacements(self) -> int:
        """Undecodable byte sequences that became U+FFFD, in all sources."""
        return sum(source.replacements for source in self.sources)

    @property
    def newlines_converted(self) -> int:
        """CR LF and CR that became LF, in all sources."""
        return sum(source.crlf + source.cr for source in self.sources)

    @property
    def joined(self) -> int:
        """Wrapped lines that were joined to the ones before, in all sources."""
        return sum(source.joined for source in self.sources)

    def digests_by_name(self) -> dict[str, str]:
        """The SHA-256 of each source by its name; a name that several have gets a number."""
        return numbered([(source.name, source.sha256) for source in self.sources])

    def to_dict(self) -> dict[str, Any]:
        """The content of ``manifest.json``, format and version first."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}

    def to_json(self) -> str:
        """The text of ``manifest.json``: its content, and the digest of that."""
        values = self.to_dict()
        sealed = {**values, "sha256": sha256_of_values(values)}
        return json.dumps(sealed, ensure_ascii=False, indent=2) + "\n"

    def problems(self) -> list[str]:
        """What contradicts itself, or is out of range, one line each."""
        found = self.config.problems()
        if self.dtype not in _DTYPES:
            found.append(f"dtype is {self.dtype!r}, not one of {', '.join(_DTYPES)}")
        if not 1 <= self.vocabulary.size <= _MOST_PIECES:
            found.append(f"vocabulary.size is {self.vocabulary.size}, not in 1 to {_MOST_PIECES}")
        if self.config.records != (self.records.kind if self.records else "none"):
            found.append("records are not what the settings say")
        found += self.records.problems() if self.records else []
        expected = files_of(self.records)
        if sorted(self.files) != sorted(expected):
            found.append(f"files are not {', '.join(expected)}")
        splits = (self.train, self.val)
        # A character is at least one piece, and at most the four bytes of its UTF-8.
        if self.characters != sum(split.characters for split in splits) or not all(
            0 <= split.characters <= split.pieces <= 4 * split.characters for split in splits
        ):
            found.append("characters and pieces contradict each other")
        return found


def files_of(records: RecordsDescription | None) -> tuple[str, ...]:
    """The files of a corpus besides its manifest."""
    return (*FILES, *LABEL_FILES) if records and records.keys else FILES


def numbered(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Make a mapping of pairs whose keys may repeat: the second ``a`` becomes ``a (2)``."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key, number = name, 1
        while key in found:
            number += 1
            key = f"{name} ({number})"
        found[key] = value
    return found


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest in ``folder``, of any version that can be migrated.

    Raises:
        CorpusError: it is missing, damaged, of something else, or of an unknown version.
    """
    from pydantic import ValidationError

    values = manifest_values(folder)
    seal = values.pop("sha256", None)  # chargen 0.1 wrote none
    try:
        manifest = _adapter().validate_python(migrated(values, folder))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(folder, f"{where}: {first['msg']}") from error
    except ValueError as error:
        raise _damaged(folder, str(error)) from error
    if problems := manifest.problems():
        raise _damaged(folder, "; ".join(problems))
    if seal not in (None, sha256_of_values(values)):
        raise _damaged(folder, "its digest differs")
    return manifest


@cache
def _adapter() -> TypeAdapter[Manifest]:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def manifest_values(folder: Path) -> dict[str, Any]:
    """Read the JSON of a manifest, of any version; CorpusError where it isn't a manifest."""
    path = folder / MANIFEST
    try:
        values = read_json(path, MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CorpusError(
            f"{folder} is not a prepared corpus: it has no {MANIFEST}.", _NAME_ONE
        ) from error
    except OSError as error:
        raise CorpusError(
            f"Can't read a prepared corpus: {system_error_text(error)}.", "Check its permissions."
        ) from error
    except ValueError as error:
        raise _damaged(folder, str(error)) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CorpusError(f"{path} is not the manifest of a prepared corpus.", _NAME_ONE)
    return values


def _damaged(folder: Path, why: str) -> CorpusError:
    """The error for a manifest that can't be used."""
    return CorpusError(f"{folder / MANIFEST} is damaged: {why}.", "Prepare the text again.")
