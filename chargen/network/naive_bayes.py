"""What counted n-grams say of a text's label."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.network.ngram_weights import Found

_FIRST_SHARE = 0.4
_FIRST_KAPPA = 0.3
_FIRST_OF_PLACES, _FIRST_OF_RECURRING, _FIRST_OF_VERSES = 0.02, 0.3, 0.1
_FIRST_PRIOR = 0.25
_PLACES = 1024
_FEWER = 4
_NONE = torch.iinfo(torch.int64).max


class NaiveBayes(nn.Module):
    """Naive Bayes over the n-grams of a text, each length with a weight that is learnt.

    r_y = Σ_n κ_n Σ_t log [P(g_t | y) / P(g_t)],   g_t the n-gram that ends at t
    P(g | y) = (N_gy + a_n P(g)) / (N_y + a_n),    P(g) = N_g / N

    N_gy says how often g is in training texts with the value y. A text that is learnt from is
    judged without itself: its own n-grams are taken from all counts, since they name its label. An
    n-gram that is in no other text says nothing.

    With ``layout`` two more kinds of g are counted as if they were n-grams of further lengths. Both
    are of a text of T pieces by l = ⌊2 log₂ (T + 1)⌋, so that texts about as long are compared:
    each piece with its place from the beginning and l, and once a text, l with how many of its
    pieces stood in it before. They tell the forms that a label prefers, and what n-grams can't see.
    With ``verses`` so are the two pieces that follow one that separates, such as a comma or a line
    end: how a verse or a clause begins.

    a begins at a quarter of the N_y of a mean value. κ corrects what is naive, that overlapping
    n-grams are counted as if independent; κ and log a are learnt with a network, and so is λ, the
    share of its logits that r is added to.

    Letters in shapes: T time steps, B texts, L values, R rows, which the most frequent n-grams of
    a length have; the others are left out.

    Source: Raina, Shen, Ng and McCallum, "Classification with hybrid generative/discriminative
    models", NeurIPS 2003.

    Args:
        order: length of the longest n-grams.
        vocab_size: |V|.
        values: L.
        rows: R for n-grams longer than one piece.
        layout: whether places and recurring pieces are counted.
        verses: whether beginnings of verses are counted. Then they and recurring pieces, of which
            a text has few, get a quarter of R.

    Attributes:
        kinds: order, 2 more with ``layout`` and 1 more with ``verses``.
        kappa, log_a: (kinds,).
        share: λ, (1,).
        keys: numbers that stand for n-grams, of one kind after another, each in order, int64.
        counts: N_gy of them, (·, L), int32.
        totals: N_y of each kind, (kinds, L), int64.
        separates: which pieces separate verses, (|V|,); with ``verses`` alone.
    """

    keys: Tensor
    counts: Tensor
    totals: Tensor
    separates: Tensor

    def __init__(
        self,
        order: int,
        vocab_size: int,
        values: int,
        rows: int,
        *,
        layout: bool = False,
        verses: bool = False,
    ) -> None:
        super().__init__()
        self.order, self.vocab_size = order, vocab_size
        self.layout, self.verses = layout, verses
        few = -(-rows // _FEWER) if verses else rows
        sizes = [min(rows, vocab_size), *[rows] * (order - 1), *[rows, few] * layout]
        sizes += [few] * verses
        self.kinds = len(sizes)
        ends = list(accumulate(sizes, initial=0))
        self._parts = [slice(first, last) for first, last in pairwise(ends)]
        self.kappa = nn.Parameter(torch.empty(self.kinds))
        self.log_a = nn.Parameter(torch.empty(self.kinds))
        self.share = nn.Parameter(torch.empty(1))
        self.register_buffer("keys", torch.full((ends[-1],), _NONE))
        self.register_buffer("counts", torch.zeros(ends[-1], values, dtype=torch.int32))
        self.register_buffer("totals", torch.zeros(self.kinds, values, dtype=torch.int64))
        if verses:
            self.register_buffer("separates", torch.zeros(vocab_size, dtype=torch.bool))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the weights that training begins with; none is drawn, and counting sets a."""
        kappa = [_FIRST_KAPPA / n**2 for n in range(1, self.order + 1)]
        kappa += [_FIRST_OF_PLACES, _FIRST_OF_RECURRING] * self.layout
        kappa += [_FIRST_OF_VERSES] * self.verses
        self.kappa.copy_(torch.tensor(kappa))
        self.log_a.zero_()
        self.share.fill_(_FIRST_SHARE)

    @torch.no_grad()
    def learn(
        self, ids: Tensor, places: Tensor, values: Tensor, separates: Tensor | None = None
    ) -> None:
        """Count all training texts at once, and set a.

        Args:
            ids: the texts one after another, (N,).
            places: of each piece in its text, from 0, (N,).
            values: of the label of its text, (N,); −1 for none.
            separates: which pieces separate verses, (|V|,) bool; by default none.
        """
        if self.verses and separates is not None:
            self.separates.copy_(separates)
        L = self.counts.shape[1]
        for n, (all_keys, inside) in enumerate(self._kinds_of(ids, places)):
            keys, counted = self.keys[self._parts[n]], self.counts[self._parts[n]]
            of = values[len(values) - len(inside) :]
            kept = inside & (of >= 0)
            chosen = of[kept]
            found, which, often = torch.unique(
                all_keys[kept], return_inverse=True, return_counts=True
            )
            if len(found) > len(keys):
                most = often.argsort(descending=True, stable=True)[: len(keys)].sort().values
                places_of = torch.full_like(found, -1)
                places_of[most] = torch.arange(len(keys), device=ids.device)
                found, which = found[most], places_of[which]
            keys[: len(found)] = found
            cells = which * L + chosen
            counts = torch.bincount(cells[which >= 0], minlength=len(found) * L)
            counted[: len(found)] = counts.view(-1, L).int()
            self.totals[n] = torch.bincount(chosen, minlength=L)
        self.log_a.copy_((_FIRST_PRIOR * self.totals.float().mean(1)).clamp(min=1).log())

    def _keys(self, ids: Tensor) -> list[Tensor]:
        """Return a number for each n-gram in ids (T, B): for each length n, (T − n + 1, B).

        Beyond 63 bits they wrap round, and are a hash.
        """
        found = [ids]
        for n in range(1, min(self.order, len(ids))):
            found.append(found[-1][:-1] * self.vocab_size + ids[n:])
        return found

    def _kinds_of(self, ids: Tensor, places: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the keys of each kind, (N',), in all texts, and which of them count."""
        found = [(keys[:, 0], places[n:] >= n) for n, keys in enumerate(self._keys(ids[:, None]))]
        if self.layout:
            texts = (places == 0).cumsum(0) - 1
            pairs = torch.unique(texts * self.vocab_size + ids) // self.vocab_size
            lengths = torch.bincount(texts)
            recurring = lengths - torch.bincount(pairs)
            found.append((self._placed(ids, places, lengths[texts]), places >= 0))
            found.append((_recurring(recurring, lengths)[texts], places == 0))
        if self.verses:
            keys, begins = self._begun(ids)
            found.append((keys, begins & (places[2:] >= 2)))
        return found

    def _begun(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return numbers for two pieces, (T − 2, …), and whether they begin a verse."""
        begins = self.separates[ids[:-2]] & ~self.separates[ids[1:-1]]
        return ids[1:-1] * self.vocab_size + ids[2:], begins

    def _placed(self, ids: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Return a number for each piece at its place in a text about as long."""
        place = _size(lengths) * _PLACES + places.clamp(max=_PLACES - 1)
        return place * self.vocab_size + ids

    def find(self, ids: Tensor, lengths: Tensor) -> list[Found]:
        """Return the n-grams of texts, of each kind, by their rows in ``keys``."""
        places = torch.arange(len(ids), device=ids.device)[:, None]
        inside = places < lengths
        all_keys = [(keys, inside[n:]) for n, keys in enumerate(self._keys(ids))]
        all_keys += [(ids[:0], inside[:0])] * (self.order - len(all_keys))
        if self.layout:
            all_keys.append((self._placed(ids, places, lengths), inside))
            sorted_ids = ids.masked_fill(~inside, self.vocab_size).sort(0).values
            same = (sorted_ids[1:] == sorted_ids[:-1]) & (sorted_ids[1:] < self.vocab_size)
            all_keys.append((_recurring(same.sum(0), lengths)[None], lengths[None] > 0))
        if self.verses:
            keys, begins = self._begun(ids)
            all_keys.append((keys, begins & inside[2:]))
        found = []
        for part, (keys, kept) in zip(self._parts, all_keys, strict=True):
            known = self.keys[part]
            rows = torch.searchsorted(known, keys.contiguous()).clamp(max=len(known) - 1)
            found.append(Found(rows + part.start, kept & (known[rows] == keys)))
        return found

    def forward(self, found: Sequence[Found], own: Tensor | None = None) -> Tensor:
        """Return r of texts, (B, L), whose n-grams were found.

        ``own`` (B,) are the values that they were counted with.
        """
        r = self.kappa.new_zeros(found[0].rows.shape[1], self.counts.shape[1])
        for n, each in enumerate(found):
            r = r + self.kappa[n] * self._ratios(n, each.rows, each.counts, own)
        return r

    def _ratios(self, n: int, rows: Tensor, inside: Tensor, own: Tensor | None) -> Tensor:
        """Return Σ_t log [P(g_t | y) / P(g_t)] over n-grams of one length, (B, L)."""
        N_gy = self.counts[rows].float()  # (T, B, L)
        N_y = self.totals[n].float()  # (L,)
        if own is not None:
            mine = F.one_hot(own.clamp(min=0), len(N_y)) * (own >= 0)[:, None]  # (B, L)
            same = (rows[:, None] == rows[None]) & inside[None]  # (T, T, B)
            N_gy = N_gy - same.sum(1)[..., None] * mine
            N_y = N_y - inside.sum(0)[:, None] * mine
        N_g = N_gy.sum(-1, keepdim=True)
        known = inside[..., None] & (N_g > 0)
        P = torch.where(known, N_g, 1.0) / N_y.sum(-1, keepdim=True).clamp(min=1)
        a = self.log_a[n].exp()
        ratio = (N_gy + a * P) / ((N_y + a) * P)
        return torch.where(known, ratio, 1.0).log().sum(0)


def _size(lengths: Tensor) -> Tensor:
    return (2 * (lengths + 1).double().log2()).long()


def _recurring(often: Tensor, lengths: Tensor) -> Tensor:
    """Return a number for how many pieces recur in a text about as long."""
    return (_size(lengths) << 32) + often
