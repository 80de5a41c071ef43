"""Copies of a corpus in short texts, found again and again: the corpus is sorted once."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from chargen.errors import GenerationError, MissingExtraError

MOST_BYTES = 1 << 26
"""Of a corpus in UTF-8: sorting it takes five times as much memory, and seconds."""
_LONGEST = 3000
"""Bytes of a run that are looked at."""


def check_size(size: int) -> None:
    """Raise GenerationError where a corpus of ``size`` bytes is too large to be sorted."""
    if size > MOST_BYTES:
        raise GenerationError(
            f"The corpus has more than {MOST_BYTES >> 20} MiB.", "Use `chargen novelty`."
        )


class CopyFinder:
    """Finds runs of characters of texts that are also in a corpus.

    A suffix array (Manber and Myers, 1993): the suffix of the corpus that shares most with a text
    stands beside the place where the text itself would be sorted in.

    Args:
        corpus: the text that may have been copied.

    Raises:
        MissingExtraError: pydivsufsort is not installed.
        GenerationError: the corpus is too large.
    """

    def __init__(self, corpus: str) -> None:
        try:
            from pydivsufsort import divsufsort
        except ImportError as error:
            raise MissingExtraError("pydivsufsort", "novelty", "Finding copies") from error
        self._corpus = corpus.encode(errors="replace")
        check_size(len(self._corpus))
        self._order = divsufsort(np.frombuffer(self._corpus, np.uint8).copy())

    def copies(self, text: str, least: int) -> list[tuple[int, int]]:
        """The longest runs of at least ``least`` characters that the corpus has as well.

        None is part of another one, but they may overlap.

        Returns:
            The first character of each, and the one after its last, in order.
        """
        found: list[tuple[int, int]] = []
        for start in range(len(text)):
            end = start + self._shared(text[start : start + _LONGEST])
            if end - start >= least and (not found or end > found[-1][1]):
                found.append((start, end))
        return found

    def _shared(self, text: str) -> int:
        """How many characters at the beginning of a text are somewhere in the corpus."""
        wanted = text.encode(errors="replace")[:_LONGEST]
        place = bisect_left(self._order, wanted, key=lambda at: self._from(at, len(wanted)))
        beside = (n for n in (place - 1, place) if 0 <= n < len(self._order))
        most = max(
            (_common(wanted, self._from(self._order[n], len(wanted))) for n in beside), default=0
        )
        return len(wanted[:most].decode(errors="ignore"))

    def _from(self, at: int, length: int) -> bytes:
        return self._corpus[at : at + length]


def _common(a: bytes, b: bytes) -> int:
    """The length of the longest common beginning."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low
