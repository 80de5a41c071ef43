"""Attention by its formulas, one number at a time."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from chargen.network.attention import FARTHEST, Attention

T, S, B, H, M = 4, 5, 3, 3, 2
LENGTHS = torch.tensor([5, 1, 3])
Kind = Literal["dot", "additive"]
both_kinds = pytest.mark.parametrize("kind", ["dot", "additive"])


def random(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def attention_of(kind: Kind) -> Attention:
    """Attention in double precision, with random weights and biases of distances."""
    attention = Attention(kind, H, M).double()
    attention.reset_parameters(torch.Generator().manual_seed(0))
    with torch.no_grad():
        attention.d.copy_(random(len(attention.d), seed=1))
    return attention


def by_hand(
    attention: Attention, s: torch.Tensor, m: torch.Tensor, length: int, t: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights (length,) and s̃ (H,) of one state s (H,) at position t over one text m (S, M)."""
    energies = []
    for i in range(length):
        if attention.a is None or attention.U is None:
            e = s @ attention.W @ m[i]
        else:
            e = attention.a @ torch.tanh(attention.W @ s + attention.U @ m[i])
        energies.append(e + attention.d[min(max(i - t, -FARTHEST), FARTHEST) + FARTHEST])
    shares = torch.stack(energies).exp()
    shares = shares / shares.sum()
    c = sum((shares[i] * m[i] for i in range(length)), torch.zeros(M, dtype=torch.float64))
    return shares, torch.tanh(attention.W_c @ torch.cat([c, s]))


@both_kinds
@pytest.mark.parametrize("first", [0, 3, 40])
def test_weights_and_outputs_are_the_formulas(kind: Kind, first: int) -> None:
    attention = attention_of(kind)
    s, m = random(T, B, H, seed=2), random(S, B, M, seed=3)
    keys = attention.keys(m)
    weights = attention.weights(s, keys, LENGTHS, first)
    outputs = attention(s, m, keys, LENGTHS, first)
    for t in range(T):
        for b, length in enumerate(LENGTHS.tolist()):
            a, wanted = by_hand(attention, s[t, b], m[:, b], length, first + t)
            torch.testing.assert_close(weights[t, b, :length], a, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(outputs[t, b], wanted, rtol=1e-10, atol=1e-12)


@both_kinds
def test_gradients_are_those_of_finite_differences(kind: Kind) -> None:
    attention = attention_of(kind)
    s, m = random(T, B, H, seed=2).requires_grad_(), random(S, B, M, seed=3).requires_grad_()

    def outputs(*_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        keys = attention.keys(m)
        weights = attention.weights(s, keys, LENGTHS)
        return attention(s, m, keys, LENGTHS), weights

    leaves = (s, m, *attention.parameters())
    assert torch.autograd.gradcheck(outputs, leaves, atol=1e-7, rtol=1e-5)


@both_kinds
def test_padding_never_has_weight(kind: Kind) -> None:
    attention = attention_of(kind)
    s, m = random(T, B, H, seed=2), random(S, B, M, seed=3)
    beyond = (torch.arange(S)[:, None] >= LENGTHS)[..., None]
    keys = attention.keys(m)
    weights = attention.weights(s, keys, LENGTHS)
    assert not weights.masked_select(beyond[..., 0].T).any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(T, B, dtype=torch.float64))
    other = torch.where(beyond, 1e6, m)
    wanted = attention(s, m, keys, LENGTHS)
    found = attention(s, other, attention.keys(other), LENGTHS)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@both_kinds
def test_steps_are_all_at_once(kind: Kind) -> None:
    attention = attention_of(kind)
    s, m = random(T, B, H, seed=2), random(S, B, M, seed=3)
    keys = attention.keys(m)
    whole = attention(s, m, keys, LENGTHS, 2)
    steps = [attention(s[t : t + 1], m, keys, LENGTHS, 2 + t) for t in range(T)]
    torch.testing.assert_close(torch.cat(steps), whole, rtol=1e-10, atol=1e-12)


@both_kinds
def test_rows_may_be_at_different_positions(kind: Kind) -> None:
    attention = attention_of(kind)
    s, m, first = random(2, B, H, seed=2), random(S, B, M, seed=3), torch.tensor([0, 7, 30])
    keys = attention.keys(m)
    together = attention(s, m, keys, LENGTHS, first)
    for b in range(B):
        row = slice(b, b + 1)
        alone = attention(s[:, row], m[:, row], keys[:, row], LENGTHS[row], int(first[b]))
        torch.testing.assert_close(together[:, row], alone, rtol=1e-10, atol=1e-12)


@both_kinds
def test_an_empty_row_looks_at_nothing(kind: Kind) -> None:
    attention = attention_of(kind)
    s, m = random(T, B, H, seed=2).requires_grad_(), random(S, B, M, seed=3)
    keys, lengths = attention.keys(m), torch.tensor([0, 5, 2])
    assert not attention.weights(s, keys, lengths)[:, 0].any()
    outputs = attention(s, m, keys, lengths)
    torch.testing.assert_close(outputs[:, 0], torch.tanh(s[:, 0] @ attention.W_c[:, M:].T))
    outputs.sum().backward()
    assert s.grad is not None
    assert s.grad.isfinite().all()


@both_kinds
def test_begins_nearly_as_a_decoder_without_attention(kind: Kind) -> None:
    attention = Attention(kind, 64, 32)
    attention.reset_parameters(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    s, m = (torch.rand(T, B, n, generator=generator) * 2 - 1 for n in (64, 32))
    outputs = attention(s, m[:1], attention.keys(m[:1]), torch.ones(B, dtype=torch.int64))
    torch.testing.assert_close(outputs, torch.tanh(s), rtol=0, atol=0.15)
    attention(s, m, attention.keys(m), torch.full((B,), T)).sum().backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="dot or additive"):
        Attention("general", 2, 2)  # type: ignore[arg-type]
