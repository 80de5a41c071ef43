"""A Kneser-Ney model as named arrays and a few facts, for a file that somebody else writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.model import KneserNey
from chargen.ngrams.trie import NO_KEY, Trie

Arrays = dict[str, NDArray[Any]]

_LARGE = 255
"""Numbers from here on are stored apart from the small ones, which have a byte each."""
_MOST = (1 << 32) - 1
"""The largest sum of counts that fits into a model."""


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

    The result is always a model whose rows are distributions, and no more memory is asked for than
    in proportion to the arrays.

    Raises:
        ValueError: they don't fit together, or an n-gram, a count or a discount is impossible.
        KeyError: one of the arrays or facts is missing.
    """
    size, newline, dropped_from = (int(facts[name]) for name in ("size", "newline", "dropped_from"))
    levels, discounts = np.array(arrays["levels"]), np.array(arrays["discounts"])
    _check_shapes(arrays, size, dropped_from)
    nodes = int(levels[-2])
    continuations, counts, dropped = (
        _join(arrays, name) for name in ("continuations", "counts", "dropped")
    )
    if (np.cumsum(continuations)[levels[1:-1] - 1] != levels[2:] - size).any():
        raise ValueError("its levels are out of order")
    pieces = arrays["pieces"].astype(np.int64)
    keys = np.repeat(np.arange(nodes), continuations) * size + pieces
    if (pieces >= size).any() or (np.diff(keys) <= 0).any():
        raise ValueError("its n-grams are out of order")
    possible = (discounts >= 0) & (discounts <= np.arange(4))  # False for NaN
    if not 0 <= newline < size or not possible.all():
        raise ValueError("its newline or a discount is impossible")
    trie = Trie(
        size,
        levels,
        np.append(keys, NO_KEY),
        np.append(counts, 0).astype(np.uint32),
        np.zeros(nodes + 1, np.uint32),
    )
    totals = _kept(trie)
    totals[_may_lack(trie, dropped_from) :] += dropped
    if max(totals.max(initial=0), counts[:size].sum()) > _MOST:
        raise ValueError("its counts are too large")
    trie.totals[:-1] = totals
    return KneserNey(trie, discounts, newline, dropped_from)


def _check_shapes(arrays: Mapping[str, NDArray[Any]], size: int, dropped_from: int) -> None:
    """Raise ValueError where the lengths of arrays don't agree."""
    levels = arrays["levels"]
    order = len(levels) - 1
    if order < 1 or levels[0] or not 0 < size == levels[1] or (np.diff(levels) < 0).any():
        raise ValueError("its levels are out of order")
    if dropped_from and not 2 <= dropped_from <= order:
        raise ValueError(f"n-grams of length {dropped_from} or more can't be dropped")
    nodes, entries = int(levels[-2]), int(levels[-1])
    lengths = {
        "pieces": entries - size,
        "counts": entries,
        "continuations": nodes,
        "dropped": nodes - int(levels[dropped_from - 2]) if dropped_from else 0,
    }
    if any(len(arrays[name]) != length for name, length in lengths.items()):
        raise ValueError("its sizes don't agree")
    if arrays["discounts"].shape != (order, 4):
        raise ValueError("its discounts have another shape")


def _kept(trie: Trie) -> NDArray[np.int64]:
    """Return the summed counts of each node's continuations, without the dropped ones."""
    kept = np.zeros(trie.nodes, np.int64)
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
    large, places = arrays[f"{name}.large"], numbers == _LARGE
    if len(large) != np.count_nonzero(places):
        raise ValueError("its large numbers don't agree")
    numbers[places] = large
    return numbers
