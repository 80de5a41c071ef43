"""The discounts of modified Kneser-Ney smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DEFAULTS = (0.5, 1.0, 1.5)
"""D1, D2, D3+ of a text that is too small, or too odd, for estimates."""


def estimate_discounts(counts: NDArray[np.integer[Any]]) -> tuple[float, float, float, float]:
    """Estimate (D(0), D(1), D(2), D(3+)) for n-grams of one length from their counts.

    With n_i the number of n-grams of count i, and Y = n_1 / (n_1 + 2 n_2):
    D(i) = i − (i + 1) Y n_{i+1} / n_i, and D(0) = 0. An estimate that isn't strictly between 0 and
    i, or whose counts are missing, is replaced by ½, 1 or 1½.

    Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
    TR-10-98, Harvard 1998, section 4.1.4 (equation 26).
    """
    n = [int(np.count_nonzero(counts == count)) for count in range(5)]
    estimates = list(_DEFAULTS)
    if n[1] and n[2]:
        Y = n[1] / (n[1] + 2 * n[2])
        for i in (1, 2, 3):
            D = i - (i + 1) * Y * n[i + 1] / n[i] if n[i] else 0.0
            if 0 < D < i:
                estimates[i - 1] = D
    return (0.0, *estimates)  # type: ignore[return-value]


def discount(counts: NDArray[np.integer[Any]], D: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the discount of each count by ``D``, (4,): D(0) = 0, D(1), D(2), D(3+)."""
    discounts: NDArray[np.float64] = D[np.minimum(counts, 3)]
    return discounts
