"""A Kneser-Ney model as named arrays and a few facts, for a file that somebody else writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.errors import CheckpointError
from chargen.ngrams.model import KneserNey
from chargen.ngrams.trie import NO_KEY, Trie

Arrays = dict[str, NDArray[Any]]

_LARGE = 255
"""Numbers from here on are stored apart from the small ones, which have a byte each."""


def to_arrays(model: KneserNey) -> tuple[Arrays, dict[str, int]]:
    """Take a model apart.

    Returns:
        The arrays by name, and the facts:

        - ``discounts`` (n, 4) float64
        - ``levels`` (n + 1,) int64, see ``Trie``
        - ``pieces`` (entries − |V|,) uint16, or uint32 where |V| needs it: the last of each n-gram
        - ``continuations`` (nodes,), how many each context has
        - ``counts`` (entries,)
        - ``dropped`` summed counts of the dropped continuations of each context that may have any
        - facts: ``size`` |V|, ``newline``, ``dropped_from``

        Each of the three last is a uint8 array; where it is 255, the number is the next one of the
        uint32 array ``NAME.large``.
    """
    trie = model.trie
    dropped = trie.totals[:-1] - _kept(trie)
    arrays: Arrays = {
        "discounts": model.discounts,
        "levels": trie.levels,
        "pieces": trie.last_pieces(),
        **_split("continuations", trie.continuation_numbers()),
        **_split("counts", trie.counts[:-1]),
        **_split("dropped", dropped[_may_lack(trie, model.dropped_from) :]),
    }
    facts = {"size": trie.size, "newline": model.newline, "dropped_from": model.dropped_from}
    return arrays, facts


def from_arrays(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, int]) -> KneserNey:
    """Put a model together again from what ``to_arrays`` returned.

    Raises:
        CheckpointError: arrays or facts are missing, or don't fit together.
    """
    try:
        return _assemble(arrays, facts)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise CheckpointError(
            f"The n-gram counts are damaged: {error}.", "Copy the run again, or train it again."
        ) from error


def _assemble(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, int]) -> KneserNey:
    size, newline, dropped_from = (int(facts[name]) for name in ("size", "newline", "dropped_from"))
    levels = np.asarray(arrays["levels"], np.int64)
    if len(levels) < 2 or levels[0] or levels[1] != size or (np.diff(levels) < 0).any():
        raise ValueError("its levels are out of order")
    nodes, entries = int(levels[-2]), int(levels[-1])
    continuations, counts, dropped = (
        _join(arrays, name) for name in ("continuations", "counts", "dropped")
    )
    pieces = arrays["pieces"].astype(np.int64)
    keys = np.repeat(np.arange(nodes), continuations) * size + pieces
    trie = Trie(
        size,
        levels,
        np.append(keys, NO_KEY),
        np.append(counts, 0).astype(np.uint32),
        np.zeros(nodes + 1, np.uint32),
    )
    trie.totals[:-1] = _kept(trie)
    trie.totals[_may_lack(trie, dropped_from) : -1] += dropped.astype(np.uint32)
    discounts = np.asarray(arrays["discounts"], np.float64)
    if discounts.shape != (trie.order, 4) or len(counts) != entries or not 0 <= newline < size:
        raise ValueError("its sizes don't agree")
    if (pieces >= size).any() or (np.diff(keys) <= 0).any():
        raise ValueError("its n-grams are out of order")
    return KneserNey(trie, discounts, newline, dropped_from)


def _kept(trie: Trie) -> NDArray[np.uint32]:
    """Return the summed counts of each node's continuations, without the dropped ones."""
    kept = np.zeros(trie.nodes, np.uint32)
    for k in range(2, trie.order + 1):
        kept[trie.level(k - 1)] = trie.continuation_sums(k, trie.counts[trie.level(k)])
    return kept


def _may_lack(trie: Trie, dropped_from: int) -> int:
    """Return the first node that may have lost a continuation."""
    return int(trie.levels[dropped_from - 2]) if dropped_from else trie.nodes


def _split(name: str, numbers: NDArray[np.integer[Any]]) -> Arrays:
    small = np.minimum(numbers, _LARGE).astype(np.uint8)
    return {name: small, f"{name}.large": numbers[numbers >= _LARGE].astype(np.uint32)}


def _join(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.int64]:
    numbers = arrays[name].astype(np.int64)
    numbers[numbers == _LARGE] = arrays[f"{name}.large"]
    return numbers
