"""From logits to a drawn piece, as pure functions on rows; the order is that of ``Sampler.draw``.

Shapes: B rows, |V'| pieces, where |V'| is |V| rounded up to whole blocks; the spare columns
have logits of −∞. What a row becomes depends on nothing but that row, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.cells.fast.rows import whole_shares
from chargen.generation.drawing import block_sums, draw
from chargen.generation.loops import Loops
from chargen.generation.row_settings import RowSettings, penalty_window
from chargen.options import SamplingConfig

_SORTED_FIRST = 512
"""Top-p looks at so many of the likeliest first; most often they reach the share asked for."""


class Uniforms:
    """Numbers in [0, 1): the n-th is a function of (seed, n) alone.

    Philox, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2,
    3", SC 2011), with the seed as its key; NumPy keeps its raw stream stable across versions.
    """

    def __init__(self, seed: int) -> None:
        self._philox = np.random.Philox(key=seed)

    def next(self, count: int) -> NDArray[np.float64]:
        """The next ``count`` numbers, multiples of 2⁻⁵², so that u·x < x for every x > 0."""
        raw = self._philox.random_raw(count)
        return (raw >> np.uint64(12)).astype(np.float64) * 2.0**-52


def penalize(logits: Tensor, recent: Tensor, penalty: Tensor) -> None:
    """Make recent pieces less likely, in place.

    Positive logits are divided by the penalty, negative ones multiplied: Keskar et al., "CTRL",
    2019. A piece that occurs twice is penalised once.

    Args:
        logits: (B, |V'|).
        recent: ids, (B, N); a place that isn't filled yet holds a piece that is masked.
        penalty: (B, 1).
    """
    found = logits.gather(1, recent)
    logits.scatter_(1, recent, torch.where(found > 0, found / penalty, found * penalty))


def tempered_softmax(logits: Tensor, inverse_temperature: Tensor) -> Tensor:
    """softmax(logits / temperature), in place; the inverse is (B, 1), in [1e-30, 1e30]."""
    return torch.softmax(logits.mul_(inverse_temperature), 1, out=logits)


def by_roots(p: Tensor) -> None:
    """p^(1/0.8) = p · ⁴√p, in place, for p ≥ 0; each step is exactly rounded.

    Logarithm, product and softmax take twice as long.
    """
    p.mul_(p.rsqrt().rsqrt_())


def largest(p: Tensor, count: int) -> Tensor:
    """The largest numbers of each row in descending order: (B, |V'|) to (B, count).

    On a processor NumPy's partition takes a seventh of the time of ``torch.topk``.
    """
    if p.device.type != "cpu":
        return torch.topk(p, count, dim=1).values
    spare = p.shape[1] - count
    values = p.numpy()
    if spare:
        values = np.partition(values, spare, axis=1)[:, spare:]
    return torch.from_numpy(np.sort(values, axis=1)[:, ::-1].copy())


def top_k_floor(likeliest: Tensor, top_k: Tensor) -> Tensor:
    """The k-th largest probability of each row, (B, 1); 0 where k is 0.

    Args:
        likeliest: the largest probabilities, in descending order, (B, ≥ k).
        top_k: (B, 1), int64.
    """
    kth = likeliest.gather(1, (top_k - 1).clamp_(0, likeliest.shape[1] - 1))
    return torch.where(top_k > 0, kth, torch.zeros_like(kth))


def top_p_floor(kept: Tensor, total: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest probability among the fewest that together reach ``top_p`` of ``total``.

    Args:
        kept: the largest probabilities, in descending order, (B, N); what is dropped is 0.
        total: the sum of all that is kept, (B, 1), float64.
        top_p: (B, 1), float64.

    Returns:
        The floor (B, 1), 0 where top_p is 1, and (B, 1) bool: whether N numbers were enough
        to tell.
    """
    reached = kept.cumsum(1, dtype=torch.float64)
    short = (reached < top_p * total).sum(1, keepdim=True)
    floor = kept.gather(1, short.clamp(max=kept.shape[1] - 1))
    off = top_p >= 1
    return floor.masked_fill(off, 0.0), (short < kept.shape[1]) | off


def keep_likeliest(p: Tensor, top_k: Tensor, top_p: Tensor) -> None:
    """Top-k, then top-p, in place: probabilities that are dropped become 0.

    Those as likely as the last one kept are kept too, so that the result doesn't hang on the
    order of equals.

    Args:
        p: probabilities, (B, |V'|).
        top_k: (B, 1), int64; 0 is off.
        top_p: (B, 1), float64; 1 is off.
    """
    whole = block_sums(p)[:, -1:]
    wanted = max(int(top_k.max()), _SORTED_FIRST if bool((top_p < 1).any()) else 1)
    while True:
        likeliest = largest(p, min(wanted, p.shape[1]))
        floor_k = top_k_floor(likeliest, top_k)
        kept = likeliest.masked_fill(likeliest < floor_k, 0.0)
        total = torch.where(top_k > 0, kept.sum(1, keepdim=True, dtype=torch.float64), whole)
        floor_p, enough = top_p_floor(kept, total, top_p)
        if bool(enough.all()) or likeliest.shape[1] == p.shape[1]:
            break
        wanted = p.shape[1]
    p.masked_fill_(p < torch.maximum(floor_k, floor_p), 0.0)


def drop_unlikely(p: Tensor, min_p: Tensor) -> None:
    """Min-p, in place: what is below that share of the row's likeliest becomes 0.

    Args:
        p: probabilities, (B, |V'|).
        min_p: (B, 1), in [0, 1).
    """
    p.masked_fill_(p < p.amax(1, keepdim=True) * min_p, 0.0)


def drawing_device(device: torch.device) -> torch.device:
    """Where pieces are drawn from logits on ``device``: there, or on the CPU.

    The sums of probabilities are float64, which MPS doesn't have.
    """
    return torch.device("cpu") if device.type == "mps" else device


class Sampler:
    """The sampling options of each row, and the way from its logits to a piece.

    Args:
        rows: how many there are at most.
        filler: id of a piece that is always masked.
        device: of the logits.
        loops: knows what would prolong a repetition.
    """

    def __init__(self, rows: int, filler: int, device: torch.device, loops: Loops) -> None:
        self._filler, self._device, self._loops = filler, device, loops
        self._configs: list[SamplingConfig] = [SamplingConfig()] * rows
        self._recent = np.full((rows, 1), filler, np.int64)
        self._read = np.zeros(rows, np.int64)
        self._windows = np.ones(rows, np.int64)
        self._penalizes = False
        self._settings: RowSettings | None = None

    def set_row(self, row: int, config: SamplingConfig, read: Sequence[int]) -> None:
        """Begin a text: new options, and the pieces that its state has read already."""
        self._configs[row] = config
        self._settings = None
        self._loops.set_row(row, config, read)
        window = penalty_window(config)
        spare = window - self._recent.shape[1]
        if spare > 0:
            self._recent = np.pad(self._recent, ((0, 0), (0, spare)), constant_values=self._filler)
        self._recent[row] = self._filler
        self._recent[row, : len(read[-window:])] = read[-window:]
        self._read[row] = len(read[-window:])
        self._windows[row] = window
        self._penalizes = self._penalizes or config.repetition_penalty != 1

    def swap_rows(self, a: int, b: int) -> None:
        self._configs[a], self._configs[b] = self._configs[b], self._configs[a]
        for values in (self._recent, self._read, self._windows):
            values[[a, b]] = values[[b, a]]
        self._loops.swap_rows(a, b)
        self._settings = None

    def note(self, ids: NDArray[np.int64]) -> None:
        """Remember what the first rows have just read, for the penalties."""
        self._loops.note(ids)
        if not self._penalizes:
            return
        rows = np.arange(len(ids))
        self._recent[rows, self._read[rows] % self._windows[rows]] = ids
        self._read[rows] += 1

    def draw(self, logits: Tensor, uniforms: Tensor) -> Tensor:
        """A piece for each row: penalties, temperature, top-k, top-p, min-p, draw.

        Args:
            logits: (B, |V'|), masked already; overwritten.
            uniforms: (B, 1), float64.
        """
        s = self._current(logits.shape[0])  # len() of a tensor is slower
        if loops := self._loops.penalties(len(logits)):
            loops.lower_logits(logits)
        if s.penalty is not None:
            recent = torch.from_numpy(self._recent[: len(logits)]).to(self._device)
            penalize(logits, recent, s.penalty)
        best = None if s.greedy is None else logits[s.greedy].argmax(1)
        return self._choose(tempered_softmax(logits, s.inverse_temperature), best, uniforms, s)

    def changes_all(self, count: int) -> bool:
        """Whether temperature or penalty change the logarithms of each of the first rows."""
        return self._current(count).changes_all

    def draw_from_mixture(self, p: Tensor, uniforms: Tensor) -> Tensor:
        """As ``draw``, where probabilities are given instead of logits.

        Penalties act on their logarithms, and so do temperatures, but for the default one.

        Args:
            p: (B, |V'|), masked already; overwritten.
            uniforms: (B, 1), float64.
        """
        s = self._current(len(p))
        loops = self._loops.penalties(len(p))
        if loops:
            loops.of_others(s.changed).lower_probabilities(p)
        if s.changed is not None:
            some = p if s.changes_all else p[s.changed]
            for part in whole_shares(some):
                part.log_()
            if loops:
                loops.among(s.changed).lower_logits(some)
            if s.penalty is not None:
                recent = torch.from_numpy(self._recent[: len(p)]).to(self._device)
                penalize(some, recent[s.changed], s.penalty[s.changed])
            tempered_softmax(some, s.inverse_temperature[s.changed])
            if not s.changes_all:
                p[s.changed] = some
        if s.rooted is not None:
            some = p if s.roots_all else p[s.rooted]
            by_roots(some)
            if not s.roots_all:
                p[s.rooted] = some
        best = None if s.greedy is None else p[s.greedy].argmax(1)
        return self._choose(p, best, uniforms, s)

    def _choose(self, p: Tensor, best: Tensor | None, uniforms: Tensor, s: RowSettings) -> Tensor:
        """A piece for each row of p (B, |V'|): top-k, top-p, min-p, draw; ``best`` if greedy."""
        if s.limited is not None:
            some = p[s.limited]
            keep_likeliest(some, s.top_k, s.top_p)
            p[s.limited] = some
        if s.min_p is not None:
            drop_unlikely(p, s.min_p)
        ids = draw(p, uniforms)
        if s.greedy is not None and best is not None:
            ids[s.greedy] = best
        return ids

    def _current(self, count: int) -> RowSettings:
        if self._settings is None or self._settings.count != count:
            self._settings = RowSettings(self._configs[:count], self._device)
        return self._settings
