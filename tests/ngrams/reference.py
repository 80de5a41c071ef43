"""Kneser-Ney by its formulas, in plain Python: what the fast code is held to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

Gram = tuple[int, ...]
NOTHING = -1
DEFAULTS = [0.0, 0.5, 1.0, 1.5]


class Reference:
    """A model of order n over pieces 0 to ``size`` − 1, counted n-gram by n-gram.

    Args:
        texts: what is counted; each is preceded by the newline.
        size: |V|.
        order: n.
        newline: stands before the text.
        without: text and position whose own n-grams aren't counted.
        discounts: (n, 4), where they are given.
        drop_from: n-grams of this length or more with a count of 1 are dropped; 0: none.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        size: int,
        order: int,
        newline: int,
        without: tuple[int, int] | None = None,
        discounts: Sequence[Sequence[float]] | None = None,
        drop_from: int = 0,
    ) -> None:
        self.size, self.order, self.drop_from = size, order, drop_from
        self.streams = [[newline, *ids] for ids in texts]
        before: dict[int, defaultdict[Gram, list[int]]] = {}
        for k in range(1, order + 1):
            before[k] = defaultdict(list)
            for n, stream in enumerate(self.streams):
                for t in range(1, len(stream)):
                    start = t - k + 1
                    if start >= 0 and (n, t - 1) != without:
                        left = stream[start - 1] if start else NOTHING
                        before[k][tuple(stream[start : t + 1])].append(left)
        self.counts: dict[int, dict[Gram, int]] = {
            k: {g: len(lefts) if k == order else len(set(lefts)) for g, lefts in grams.items()}
            for k, grams in before.items()
        }
        self.discounts = discounts or [self.estimate(k) for k in range(1, order + 1)]

    def estimate(self, k: int) -> list[float]:
        n = Counter(self.counts[k].values())
        D = list(DEFAULTS)
        if n[1] and n[2]:
            Y = n[1] / (n[1] + 2 * n[2])
            D1, D2 = 1 - 2 * Y * n[2] / n[1], 2 - 3 * Y * n[3] / n[2]
            D3 = 3 - 4 * Y * n[4] / n[3] if n[3] else 0
            D = [0.0] + [d if 0 < d < i else DEFAULTS[i] for i, d in ((1, D1), (2, D2), (3, D3))]
        return D

    def p(self, w: int, context: Gram) -> float:
        """P_n(w | the last n − 1 pieces of ``context``)."""
        return self._p(w, context[max(len(context) - self.order + 1, 0) :])

    def at(self, t: int, text: int = 0) -> float:
        """P_n of a text's piece at position ``t``."""
        stream = self.streams[text]
        return self.p(stream[t + 1], tuple(stream[: t + 1]))

    def _p(self, w: int, h: Gram) -> float:
        k = len(h) + 1
        lower = self._p(w, h[1:]) if h else 1 / self.size
        D = self.discounts[k - 1]
        after = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == h}
        total = sum(after.values())
        if not total:
            return lower
        mass = 0.0
        for piece, c in after.items():
            if c == 1 and self.drop_from and k >= self.drop_from:
                mass += 1
                after[piece] = 0
            else:
                mass += D[min(c, 3)]
        c = after.get(w, 0)
        return (c - (D[min(c, 3)] if c else 0) + mass * lower) / total
