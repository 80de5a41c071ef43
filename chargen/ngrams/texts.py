"""Probabilities of every piece of a text, of other texts and of the one that was counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.ngrams.counting import Ids, pieces_before, stretches
from chargen.ngrams.discounts import discount
from chargen.ngrams.model import KneserNey
from chargen.ngrams.trie import Entries

_BLOCK = 1 << 17
"""Positions that are computed at once."""


def score(
    model: KneserNey, ids: Ids, first: int = 0, last: int | None = None
) -> NDArray[np.float64]:
    """Return P_n of ``ids[first:last]``, each piece after those before it.

    The text is preceded by the newline. Memory beside the result: that of a block.

    Args:
        model: whole, or with singletons dropped.
        ids: (N,) a text, of which the n − 1 pieces before ``first`` are context.
        first: the first position to score.
        last: the position after the last; by default that after the text.

    Returns:
        (last − first,) float64.
    """
    last = len(ids) if last is None else last
    result = np.empty(max(last - first, 0))
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        entries, contexts = _walk(model, ids, start, stop)
        p = model.unigrams[entries[0]]
        for k in range(2, model.order + 1):
            nodes = contexts[k - 2]
            counts, totals = model.trie.counts[entries[k - 1]], model.trie.totals[nodes]
            p = _interpolate(p, counts, totals, model.masses[nodes], model.discounts[k - 1])
        result[start - first : stop - first] = p
    return result


def states_before(model: KneserNey, ids: Ids, positions: NDArray[np.integer[Any]]) -> Entries:
    """Return the state before each of some positions of a text, (positions, n − 1).

    The text ``ids`` (N,) is preceded by the newline.
    """
    state = model.initial_state(len(positions))
    for back in range(model.order - 1, 0, -1):
        at = positions - back
        pieces = np.where(at >= 0, ids[np.maximum(at, 0)], model.newline).astype(np.int64)
        state = np.where(at[:, None] >= -1, model.advance(state, pieces), state)
    return state


def leave_one_out(
    model: KneserNey, ids: Ids, first: int = 0, last: int | None = None, drop_from: int = 0
) -> NDArray[np.float64]:
    """Return P_n of positions of the counted text, each without what it contributed itself.

    What is removed for position t are the n-gram tokens that end at t, and no others: the
    occurrence of its n-gram; where that was the only one, the (n − 1)-gram that ends at t loses a
    continuation (one piece fewer stands before it); where that was its only one too, the
    (n − 2)-gram loses one, and so on down to the single piece. Near the beginning of the text the
    longest n-gram that ends at t starts at the newline, and loses "the beginning of the text".
    Totals c(h·) and numbers of types N_i(h·) change accordingly, the discounts D don't. n-grams
    that contain position t before their end stay.

    Args:
        model: whole, as ``count`` returns it.
        ids: (N,) the text that was counted, all of it. Where only stretches of it were, positions
            between them contributed nothing, and are scored like another text's.
        first: the first position wanted.
        last: the position after the last; by default that after the text.
        drop_from: where it isn't 0, n-grams of this length or longer with a count of 1, after the
            removal, are dropped, as in ``without_singletons``.

    Returns:
        (last − first,) float64.
    """
    last = len(ids) if last is None else last
    result = np.empty(max(last - first, 0))
    done = first
    for start, stop in stretches(len(ids), model.size):
        counted, end = max(start, done), min(stop, last)
        if counted >= end:
            continue
        result[done - first : counted - first] = score(model, ids, done, counted)
        for block in range(counted, end, _BLOCK):
            size = min(_BLOCK, end - block)
            text, place = ids[start:stop], block - start
            p = left_out(model, text, place, place + size, [drop_from])[0]
            result[block - first : block + size - first] = p
        done = end
    result[done - first :] = score(model, ids, done, last)
    return result


def left_out(
    model: KneserNey, text: Ids, first: int, last: int, drops: Sequence[int]
) -> list[NDArray[np.float64]]:
    """Return what ``leave_one_out`` does, at once and for each of several ``drop_from``."""
    if model.dropped_from:
        raise ValueError("leaving one out needs the whole model, without anything dropped")
    entries, contexts = _walk(model, text, first, last)
    own = _own_counts(model, entries, np.arange(first, last))
    D = model.discounts[0]
    unigrams = model.trie.counts[: model.size]
    counts, removed = unigrams[entries[0]].astype(np.int64), own[0]
    total = unigrams.sum(dtype=np.int64) - removed
    mass = discount(unigrams, D).sum() - _change(counts, removed, D)
    uniform = np.full(len(removed), 1 / model.size)
    results = [_interpolate(uniform, counts - removed, total, mass, D)] * len(drops)
    for k in range(2, model.order + 1):
        D, nodes, removed = model.discounts[k - 1], contexts[k - 2], own[k - 1]
        counts = model.trie.counts[entries[k - 1]].astype(np.int64)
        left = counts - removed
        totals = model.trie.totals[nodes] - removed
        masses = model.masses[nodes] - _change(counts, removed, D)
        if any(drops):
            ones = model.singletons[nodes] + (left == 1) - (counts == 1).astype(np.int64)
            kept = np.where(left == 1, 0, left)
        for n, drop in enumerate(drops):
            if drop and k >= drop:
                more = masses + ones * (1 - D[1])
                results[n] = _interpolate(results[n], kept, totals, more, D)
            else:
                results[n] = _interpolate(results[n], left, totals, masses, D)
    return results


def _walk(model: KneserNey, ids: Ids, first: int, last: int) -> tuple[list[Entries], list[Entries]]:
    """Look up what ends at each of ``ids[first:last]``.

    Returns:
        entries: n arrays, the n-grams of length 1 to n that end at each position.
        contexts: n − 1 arrays, the nodes of length 1 to n − 1 before each position.
    """
    before = pieces_before(ids, first, model.order, model.newline)
    found = np.concatenate([before, ids[first:last].astype(np.int64)])
    pieces, place = found[1:], len(before)
    entries, contexts = [found[place:]], []
    for _ in range(1, model.order):
        contexts.append(found[place - 1 : -1])
        found = np.insert(model.trie.child(found[:-1], pieces), 0, -1)
        entries.append(found[place:])
    return entries, contexts


def _own_counts(
    model: KneserNey, entries: list[Entries], positions: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Return what each position contributes, 0 or 1, to the counts of length 1 to n."""
    # At the first position, a single piece and one after the newline end.
    longest = np.minimum(positions + 2, model.order)
    own = [(longest == model.order).astype(np.int64)]
    for k in range(model.order - 1, 0, -1):
        last_of_its_kind = own[0] * (model.trie.counts[entries[k]] == 1)
        own.insert(0, last_of_its_kind | (longest == k))
    return own


def _interpolate(
    p: NDArray[np.float64],
    counts: NDArray[np.integer[Any]],
    totals: NDArray[np.integer[Any]],
    masses: NDArray[np.float64],
    D: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return P_k from P_{k−1}, ``p``; unchanged where the context was never seen."""
    known = counts - discount(counts, D) + masses * p
    return np.where(totals > 0, known / np.maximum(totals, 1), p)


def _change(
    counts: NDArray[np.int64], removed: NDArray[np.int64], D: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how much the discounts fall when ``removed`` is taken from ``counts``."""
    return discount(counts, D) - discount(counts - removed, D)
