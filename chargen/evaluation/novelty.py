"""Novelty of texts: how much they copy from a corpus and from each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.reading import read_text
from chargen.errors import GenerationError, MissingExtraError
from chargen.options import CorpusConfig

LENGTHS = (8, 12, 16, 24, 32)
_SEPARATOR = b"\xff"
_SAMPLES_LINE = "---"
_SHINGLE = 4
_ALIKE = 0.8
# 32 bands of 4 rows miss one in ten million of the pairs with a Jaccard index of 0.8.
_PERMUTATIONS, _BANDS = 128, 32
_SEED = 1

Longest = NDArray[np.int64]
"""For each character of a text, the length of the longest run from there in the corpus."""


@dataclass(frozen=True)
class Copied:
    """The longest run of characters of a text that is also in the corpus.

    White space and line ends don't count, and the run neither begins nor ends with them.

    Attributes:
        id: id of the text.
        characters: number of characters of the run.
        of: number of characters of the text.
        text: the run itself, with the white space between its characters.
        offset: number of characters of the corpus, white space included, before the first place
            where the run stands; None if nothing was copied.
        line: the line of the corpus, from 1, in which it begins there.
    """

    id: str | int
    characters: int
    of: int
    text: str
    offset: int | None
    line: int | None


@dataclass(frozen=True)
class Alike:
    """Two texts that share most of their runs of four characters.

    Attributes:
        first, second: ids of the texts.
        jaccard: number of runs in both over the number of runs in either.
    """

    first: str | int
    second: str | int
    jaccard: float


@dataclass(frozen=True)
class Novelty:
    """The result of ``measure``.

    Attributes:
        texts, characters: number of texts, and of characters in them.
        corpus_characters: length of the corpus.
        copied_ngrams: for each n, the share of the texts' runs of n characters that are in the
            corpus; None if no text is that long.
        longest: the longest copied run of each text, in the order of the texts.
        duplicates: number of texts that repeat an earlier one exactly.
        alike: pairs of nearly identical texts, without duplicates.
    """

    texts: int
    characters: int
    corpus_characters: int
    copied_ngrams: Mapping[int, float | None]
    longest: tuple[Copied, ...]
    duplicates: int
    alike: tuple[Alike, ...]

    def __repr__(self) -> str:
        shares = ", ".join(f"{n}: {s:.1%}" for n, s in self.copied_ngrams.items() if s is not None)
        return (
            f"<Novelty of {self.texts:,} texts: runs copied by length {shares}; "
            f"{self.duplicates:,} duplicates, {len(self.alike):,} near-duplicates>"
        )


def read_texts(path: str | Path) -> dict[str | int, str]:
    """Read texts by id from the output of a batch, or from plain text with ``---`` lines between.

    Where an id is there again, as in several outputs joined, its line is added to it.

    Raises:
        CorpusError: the file can't be read.
        GenerationError: it has no texts, or an invalid line.
    """
    content = read_text(path, CorpusConfig(unwrap="no"))
    if content.lstrip().startswith("{"):
        found = _texts_of_lines(content)
    else:
        parts = f"\n{content}\n".split(f"\n{_SAMPLES_LINE}\n")
        found = {n: part.strip("\n") for n, part in enumerate(parts, 1)}
    found = {id_: text for id_, text in found.items() if text}
    if not found:
        raise GenerationError(f"{path} has no texts.", "Use the output of `batch` or of samples.")
    return found


def _texts_of_lines(content: str) -> dict[str | int, str]:
    found: dict[str | int, str] = {}
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            text = "" if "error" in values else values["text"]
            id_ = values.get("id", number)
            key = f"{id_}/{values['sample']}" if "sample" in values else id_
            while key in found:
                key = f"{key} (line {number})"
            found[key] = "" if not isinstance(text, str) else text
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise GenerationError(
                f"Line {number} is not a JSON object with a text.", "Use the output of a batch."
            ) from error
    return found


def measure(texts: Mapping[str | int, str], corpus: str) -> Novelty:
    """Compare texts with a corpus and with each other.

    Raises:
        MissingExtraError: pydivsufsort or rensa is not installed.
        GenerationError: texts and corpus together exceed 2 GB, the limit of the suffix array.
    """
    runs = longest_runs(list(texts.values()), corpus)
    pairs = zip(texts.items(), runs, strict=True)
    longest = [_longest_copied(id_, text, run, corpus) for (id_, text), run in pairs]
    return Novelty(
        texts=len(texts),
        characters=sum(map(len, texts.values())),
        corpus_characters=len(corpus),
        copied_ngrams={n: _share_found(runs, n) for n in LENGTHS},
        longest=_with_lines(longest, corpus),
        duplicates=len(texts) - len(set(texts.values())),
        alike=_alike(texts),
    )


def _longest_copied(id_: str | int, text: str, runs: Longest, corpus: str) -> Copied:
    """Find the run with the most characters that aren't white space, and its first place."""
    counted = np.cumsum([0, *(not character.isspace() for character in text)])
    starts = np.arange(len(text))
    counts = counted[starts + runs] - counted[:-1]
    place = int(counts.argmax()) if len(text) else 0
    found = text[place : place + int(runs[place])].strip() if len(text) else ""
    count = int(counts[place]) if found else 0
    offset = corpus.find(found) if found else None
    return Copied(id_, count, int(counted[-1]), found, offset, None)


def _with_lines(longest: Sequence[Copied], corpus: str) -> tuple[Copied, ...]:
    """Add the line of each run, in one pass over the corpus."""
    lines, line, place = {}, 1, 0
    for offset in sorted({each.offset for each in longest if each.offset is not None}):
        line += corpus.count("\n", place, offset)
        lines[offset], place = line, offset
    return tuple(
        each if each.offset is None else replace(each, line=lines[each.offset]) for each in longest
    )


def longest_runs(texts: Sequence[str], corpus: str) -> list[Longest]:
    """Find, for each character of each text, the longest run from there that is in the corpus.

    In the suffix array of corpus and texts together, the corpus suffix that shares the longest
    prefix with a suffix of a text is the nearest one above or below it, and the length of that
    prefix is the minimum of the LCP array between them (Manber and Myers, 1993; LCP array: Kasai et
    al., 2001).
    """
    encoded = [text.encode() for text in texts]
    head = corpus.encode() + _SEPARATOR
    data = np.frombuffer(bytearray(head + _SEPARATOR.join(encoded) + _SEPARATOR), np.uint8)
    if len(data) >= 1 << 31:
        raise GenerationError("Texts and corpus exceed 2 GB.", "Compare parts of them.")
    shared = _shared_with_corpus(data, len(head) - len(_SEPARATOR))
    runs, start = [], len(head)
    for text in encoded:
        part = shared[start : start + len(text)]
        runs.append(_in_characters(np.frombuffer(text, np.uint8), part))
        start += len(text) + len(_SEPARATOR)
    return runs


def _shared_with_corpus(data: NDArray[np.uint8], corpus_bytes: int) -> NDArray[np.int64]:
    """Return, for each byte, the length of the longest run from there in the corpus."""
    try:
        from pydivsufsort import divsufsort, kasai
    except ImportError as error:
        raise MissingExtraError("pydivsufsort", "novelty", "Comparing with a corpus") from error
    order = divsufsort(data)
    common = kasai(data, order).astype(np.int64)
    in_corpus = order < corpus_bytes
    above = np.concatenate(([0], common[:-1]))
    before = _least_since(above, in_corpus)
    after = _least_since(common[::-1], in_corpus[::-1])[::-1]
    shared = np.empty(len(data), np.int64)
    shared[order] = np.maximum(before, after)
    return shared


def _least_since(common: NDArray[np.int64], marks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the minimum of ``common`` since the last mark at each place; 0 before any mark.

    ``common`` is the length that a place shares with the one before. A single running minimum
    serves all stretches between marks, because each stretch is raised above the next.
    """
    stretch = np.cumsum(marks)
    lift = int(common.max(initial=0)) + 1
    lifted = np.where(marks, lift - 1, common) + (stretch[-1] - stretch) * lift
    least: NDArray[np.int64] = np.minimum.accumulate(lifted) - (stretch[-1] - stretch) * lift
    least[stretch == 0] = 0
    return least


def _in_characters(text: NDArray[np.uint8], shared: NDArray[np.int64]) -> Longest:
    """Convert lengths in bytes to whole characters, none beyond the end of the text."""
    starts = np.flatnonzero((text & 0xC0) != 0x80)
    ends = np.append(starts[1:], len(text))
    reach = np.minimum(starts + shared[starts], len(text))
    runs: Longest = np.searchsorted(ends, reach, side="right") - np.arange(len(starts))
    return runs


def _share_found(runs: Sequence[Longest], n: int) -> float | None:
    found = sum(int((run[: len(run) - n + 1] >= n).sum()) for run in runs if len(run) >= n)
    total = sum(max(0, len(run) - n + 1) for run in runs)
    return found / total if total else None


def _alike(texts: Mapping[str | int, str]) -> tuple[Alike, ...]:
    """Find pairs of texts with a Jaccard index of at least 0.8: by MinHash, then exactly.

    Only the first of identical texts is compared, because there could be too many pairs of them.
    """
    try:
        from rensa import RMinHash, RMinHashLSH
    except ImportError as error:
        raise MissingExtraError("rensa", "novelty", "Finding near-duplicates") from error
    index = RMinHashLSH(threshold=_ALIKE, num_perm=_PERMUTATIONS, num_bands=_BANDS)
    first: dict[str, str | int] = {}
    for id_, text in texts.items():
        first.setdefault(text, id_)
    values, ids = list(first), list(first.values())
    pairs = []
    for n, text in enumerate(values):
        runs = _shingles(text)
        sketch = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update(sorted(runs))
        for other in sorted(index.query(sketch)):
            others = _shingles(values[other])
            jaccard = len(runs & others) / len(runs | others)
            if jaccard >= _ALIKE:
                pairs.append(Alike(ids[other], ids[n], jaccard))
        index.insert(n, sketch)
    return tuple(pairs)


def _shingles(text: str) -> set[str]:
    return {text[n : n + _SHINGLE] for n in range(max(1, len(text) - _SHINGLE + 1))}
