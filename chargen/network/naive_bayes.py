"""What counted n-grams say of a text's label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FIRST_SHARE = 0.3
_FIRST_PRIOR = 3e4
_MOST_NUMBERS = 1 << 22
_MOST_ROWS = 1 << 20
_STEP, _SPREAD, _RANGE = 1_000_003, 1_327_217_885, 1 << 31  # products stay below 2**62


class NaiveBayes(nn.Module):
    """Naive Bayes over the n-grams of a text, each length with a weight that is learnt.

    r_y = Σ_n κ_n Σ_t log [P(g_t | y) / P(g_t)],   g_t the n-gram that ends at t
    P(g | y) = (N_gy + a_n P(g)) / (N_y + a_n),    P(g) = N_g / N

    N_gy says how often g is in training texts with the value y. A text that is learnt from is
    judged without itself: its own n-grams are taken from all counts, since they name its label. An
    n-gram that is in no other text says nothing.

    κ corrects what is naive, that overlapping n-grams are counted as if independent; κ and log a
    are learnt with the network, whose logits r is added to.

    Letters in shapes: T time steps, B texts, L values, R rows. N-grams longer than one piece share
    rows by a hash.

    Sources: Raina, Shen, Ng and McCallum, "Classification with hybrid generative/discriminative
    models", NeurIPS 2003; for hashing, Weinberger et al., "Feature hashing for large scale
    multitask learning", ICML 2009.

    Args:
        order: length of the longest n-grams.
        vocab_size: |V|.
        values: L.

    Attributes:
        kappa, log_a: (order,).
        counts: N_gy of all lengths one after another, (rows, L), int32.
        totals: N_y of each length, (order, L), int64.
    """

    counts: Tensor
    totals: Tensor

    def __init__(self, order: int, vocab_size: int, values: int) -> None:
        super().__init__()
        self.order = order
        most = min(_MOST_ROWS, max(1024, _MOST_NUMBERS // values))
        self._hashed = 1 << (most.bit_length() - 1)
        self._firsts = [0, *(vocab_size + n * self._hashed for n in range(order))]
        self.kappa = nn.Parameter(torch.empty(order))
        self.log_a = nn.Parameter(torch.empty(order))
        rows = torch.zeros(self._firsts[-1], values, dtype=torch.int32)
        self.register_buffer("counts", rows)
        self.register_buffer("totals", torch.zeros(order, values, dtype=torch.int64))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the weights that training begins with; they aren't drawn."""
        self.kappa.copy_(_FIRST_SHARE / torch.arange(1, self.order + 1))
        self.log_a.fill_(_FIRST_PRIOR).log_()

    def rows(self, ids: Tensor) -> list[Tensor]:
        """Return the row of each n-gram in ids (T, B): for each length n, (T − n + 1, B)."""
        found, hashed = [ids], ids
        for n in range(1, min(self.order, len(ids))):
            hashed = (hashed[:-1] * _STEP + ids[n:] + 1) % _RANGE
            found.append(self._firsts[n] + ((hashed * _SPREAD >> 20) & (self._hashed - 1)))
        return found

    @torch.no_grad()
    def add(self, ids: Tensor, lengths: Tensor, values: Tensor) -> None:
        """Count texts: ids (T, B), lengths (B,), values (B,) of their labels, −1 for none."""
        for n, rows in enumerate(self.rows(ids), 1):
            steps = torch.arange(n - 1, len(ids), device=ids.device)[:, None]
            kept = (steps < lengths) & (values >= 0)
            places = rows[kept] * self.counts.shape[1] + values.expand_as(rows)[kept]
            ones = torch.ones_like(places, dtype=torch.int32)
            self.counts.view(-1).index_add_(0, places, ones)
            self.totals[n - 1] += torch.bincount(
                values.expand_as(rows)[kept], minlength=self.counts.shape[1]
            )

    def forward(self, ids: Tensor, lengths: Tensor, own: Tensor | None = None) -> Tensor:
        """Return r of texts, (B, L); ``own`` (B,) are the values that they were counted with."""
        r = torch.zeros(ids.shape[1], self.counts.shape[1], device=ids.device)
        for n, rows in enumerate(self.rows(ids), 1):
            steps = torch.arange(n - 1, len(ids), device=ids.device)[:, None]
            inside = steps < lengths
            r = r + self.kappa[n - 1] * self._ratios(n, rows, inside, own)
        return r

    def _ratios(self, n: int, rows: Tensor, inside: Tensor, own: Tensor | None) -> Tensor:
        """Return Σ_t log [P(g_t | y) / P(g_t)] over n-grams of one length, (B, L)."""
        N_y = self.totals[n - 1].float()  # (L,)
        N_gy = self.counts[rows].float()  # (T, B, L)
        if own is not None:
            chosen = nn.functional.one_hot(own.clamp(min=0), len(N_y)) * (own >= 0)[:, None]
            same = (rows[:, None] == rows[None]) & inside[None]  # (T, T, B)
            N_gy = N_gy - same.sum(1)[..., None] * chosen
            N_y = N_y - inside.sum(0)[:, None] * chosen  # (B, L)
        N_g = N_gy.sum(-1, keepdim=True)
        P = N_g / N_y.sum(-1, keepdim=True).clamp(min=1)
        a = self.log_a[n - 1].exp()
        known = inside[..., None] & (N_g > 0)
        P = torch.where(known, P, 1.0)
        ratio = (N_gy + a * P) / ((N_y + a) * P)
        return torch.where(known, ratio, 1.0).log().sum(0)
