"""Attention: what a decoder looks back at, among the vectors of the text that was read."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from chargen.machine.precision import no_autocast

FARTHEST = 16
"""Positions that are farther apart than this share one bias."""
_CONTEXT_SPREAD = 0.1


class Attention(nn.Module):
    """A weighted mean of a memory m_1 … m_S for each state s_t, and the two together.

    e_ti = s_tᵀ W m_i + d[clip(i − t, −16, 16)]                (dot)
    e_ti = aᵀ tanh(W s_t + U m_i) + d[clip(i − t, −16, 16)]    (additive)
    a_t  = softmax(e_t) over the i that a row has
    c_t  = Σ_i a_ti m_i
    s̃_t  = tanh(W_c [c_t; s_t])

    Positions t and i count from 0. Where answer and text run in parallel, as in a couplet, the
    right place to look is known before anything is read; the biases d learn that.

    Shapes: S memories, T time steps, B rows; s_t (B, H), m_i (B, M), W (H, M), or in the additive
    kind W (H, H), U (H, M) and the vector a (H,); d (33,), W_c (H, M + H).

    Sources: dot as "general" and s̃ in Luong, Pham and Manning, "Effective approaches to
    attention-based neural machine translation", EMNLP 2015; additive in Bahdanau, Cho and Bengio,
    "Neural machine translation by jointly learning to align and translate", ICLR 2015; biases for
    clipped distances after Shaw, Uszkoreit and Vaswani, "Self-attention with relative position
    representations", NAACL 2018, and Raffel et al., "Exploring the limits of transfer learning
    with a unified text-to-text transformer", JMLR 21, 2020.

    Args:
        kind: ``dot`` or ``additive``.
        query_size: H, of the decoder's states.
        memory_size: M, of the encoder's outputs.
    """

    def __init__(self, kind: str, query_size: int, memory_size: int) -> None:
        super().__init__()
        if kind not in ("dot", "additive"):
            raise ValueError(f"There is no attention {kind!r}: dot or additive.")
        self.kind = kind
        self.a: nn.Parameter | None = None
        self.U: nn.Parameter | None = None
        self.W = nn.Parameter(torch.empty(query_size, memory_size))
        if kind == "additive":
            self.W = nn.Parameter(torch.empty(query_size, query_size))
            self.U = nn.Parameter(torch.empty(query_size, memory_size))
            self.a = nn.Parameter(torch.empty(query_size))
        self.d = nn.Parameter(torch.empty(2 * FARTHEST + 1))
        self.W_c = nn.Parameter(torch.empty(query_size, memory_size + query_size))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw W, U and a uniformly with variance 1/(3·columns), and begin with s̃ ≈ tanh(s).

        W_c is the identity on s, so that the decoder begins as one without attention, and small
        on c: at first every c is nearly the same mean of the memory, but with zeros there no
        gradient would reach e. The biases d begin at zero.
        """
        for matrix in (self.W, self.U, self.a):
            if matrix is not None:
                bound = 1 / math.sqrt(matrix.shape[-1])
                matrix.uniform_(-bound, bound, generator=generator)
        self.d.zero_()
        M = self.W_c.shape[1] - len(self.W_c)
        bound = _CONTEXT_SPREAD / math.sqrt(M)
        self.W_c[:, :M].uniform_(-bound, bound, generator=generator)
        nn.init.eye_(self.W_c[:, M:])

    def keys(self, memory: Tensor) -> Tensor:
        """Compute the part of e that the memory alone gives: (S, B, M) to (S, B, H).

        That is W m_i, or U m_i in the additive kind; once for a text.
        """
        return F.linear(memory, self.W if self.U is None else self.U)

    def weights(self, s: Tensor, keys: Tensor, lengths: Tensor, first: int | Tensor = 0) -> Tensor:
        """Compute a_t: how much each state looks at each memory.

        Args:
            s: states of the decoder, (T, B, H).
            keys: from ``keys``, (S, B, H).
            lengths: how many memories each row has, at most S: (B,), int64.
            first: the position of the first t, for all rows or one a row, (B,), int64.

        Returns:
            The weights, (T, B, S); zeros beyond a row's length, else a row sums to 1.
        """
        energy = self._energy(s, keys)
        with no_autocast(s):
            energy = energy.to(self.d.dtype) + self._distance_bias(len(s), len(keys), first)
            beyond = torch.arange(len(keys), device=s.device) >= lengths[:, None]
            lowest = torch.finfo(energy.dtype).min
            weights = torch.softmax(energy.masked_fill(beyond, lowest), dim=-1)
            # Matters only to a row of length 0, whose weights would else be 1/S.
            return weights.masked_fill(beyond, 0)

    def forward(
        self, s: Tensor, memory: Tensor, keys: Tensor, lengths: Tensor, first: int | Tensor = 0
    ) -> Tensor:
        """Compute s̃ of states s (T, B, H) that look back at a memory (S, B, M): (T, B, H).

        Args:
            s: states of the decoder, (T, B, H).
            memory: m, (S, B, M); anything finite beyond a row's length.
            keys: from ``keys``, (S, B, H).
            lengths: how many memories each row has, (B,), int64.
            first: the position of the first t, for all rows or one a row, (B,), int64.
        """
        a = self.weights(s, keys, lengths, first).to(memory.dtype)
        c = torch.bmm(a.transpose(0, 1), memory.transpose(0, 1)).transpose(0, 1)
        return torch.tanh(F.linear(torch.cat([c, s.to(c.dtype)], dim=-1), self.W_c))

    def _energy(self, s: Tensor, keys: Tensor) -> Tensor:
        """Compute e without the biases d: (T, B, S)."""
        if self.a is None:
            return torch.bmm(s.transpose(0, 1), keys.permute(1, 2, 0)).transpose(0, 1)
        queries = F.linear(s, self.W)
        with no_autocast(s):
            full = self.a.dtype
            energy: Tensor = _AdditiveEnergy.apply(queries.to(full), keys.to(full), self.a)  # type: ignore[no-untyped-call]
            return energy.transpose(1, 2)

    def _distance_bias(self, steps: int, memories: int, first: int | Tensor) -> Tensor:
        """Look up d[clip(i − t, −16, 16)]: (T, 1, S), or (T, B, S) with one ``first`` a row."""
        t = torch.arange(steps, device=self.d.device)[:, None, None]
        t = t + (first[:, None] if isinstance(first, Tensor) else first)
        i = torch.arange(memories, device=self.d.device)
        return self.d[(i - t).clamp(-FARTHEST, FARTHEST) + FARTHEST]


class _AdditiveEnergy(torch.autograd.Function):
    """e_ti = aᵀ tanh(q_t + k_i) for all t and i, in the memory of one t.

    With z_ti = tanh(q_t + k_i) and ε = ∂L/∂e: ∂L/∂a = Σ ε_ti z_ti, and δ_ti = ε_ti a ⊙ (1 − z_ti²)
    gives ∂L/∂q_t = Σ_i δ_ti and ∂L/∂k_i = Σ_t δ_ti. Backwards, z is computed again: all of it
    would be T·S·B·H numbers.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, a: Tensor) -> Tensor:
        ctx.save_for_backward(q, k, a)
        energy, z = q.new_empty(len(q), *k.shape[:2]), torch.empty_like(k)
        for q_t, e_t in zip(q, energy, strict=True):
            e_t.copy_(torch.add(k, q_t, out=z).tanh_() @ a)
        return energy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, epsilon: Tensor) -> tuple[Tensor, ...]:
        q, k, a = ctx.saved_tensors
        at_q, at_k, at_a = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(a)
        z = torch.empty_like(k)
        for q_t, epsilon_t, at_q_t in zip(q, epsilon.contiguous(), at_q, strict=True):
            torch.add(k, q_t, out=z).tanh_()
            at_a += epsilon_t.flatten() @ z.flatten(0, 1)
            delta = z.square_().neg_().add_(1).mul_(a).mul_(epsilon_t[..., None])
            torch.sum(delta, dim=0, out=at_q_t)
            at_k += delta
        return at_q, at_k, at_a
