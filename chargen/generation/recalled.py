"""What a text costs where all of it that has been read is recalled, as a prompt is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.generation.recall import LONGEST, prior


def recalled_costs(
    ids: NDArray[np.integer[Any]], strength: float, nats: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What each piece of a text costs where those before it are the prompt, in nats, (N,).

    The formula is that of ``chargen.generation.recall``. All contexts of k pieces are numbered at
    once, so that a place's counts are sums over the earlier places of the same context.

    Args:
        ids: the text, (N,).
        strength: of the recall, above 0.
        nats: what its pieces cost without recall, (N,).
    """
    text, log_p = np.asarray(ids, np.int64), -np.asarray(nats, np.float64)
    context = np.zeros(len(text), np.int64)
    for k in range(1, min(LONGEST, len(text) - 1) + 1):
        here, following = slice(k, None), text[k:]
        context[here] = _numbered(context[here], text[:-k])
        with_piece = _numbered(context[here], following)
        ones = np.ones(len(following))
        n_k, c_k = _earlier(context[here], ones), _earlier(with_piece, ones)
        t_k = _earlier(context[here], (c_k == 0).astype(float))
        seen = n_k > 0
        D_k = prior(n_k[seen], t_k[seen], k, strength)
        with np.errstate(divide="ignore"):
            log_c = np.log(c_k[seen])  # −∞ where c_k is 0
        mixed = np.logaddexp(log_c, np.log(D_k) + log_p[here][seen])
        log_p[here][seen] = mixed - np.log(n_k[seen] + D_k)
    return -log_p


def _numbered(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each pair of (N,) and (N,), the same for equal pairs: below N, (N,)."""
    pairs = a * (int(b.max()) + 1) + b
    numbers: NDArray[np.int64] = np.unique(pairs, return_inverse=True)[1]
    return numbers


def _earlier(groups: NDArray[np.int64], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of ``amounts`` (N,) at the earlier places of each place's group, (N,)."""
    order = np.argsort(groups, kind="stable")
    ordered = amounts[order]
    before = np.cumsum(ordered) - ordered
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    before -= np.repeat(before[starts], np.diff(starts, append=len(groups)))
    sums = np.empty_like(before)
    sums[order] = before
    return sums
