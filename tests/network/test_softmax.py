from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from chargen.network import softmax
from chargen.network.softmax import score_targets, softmax_loss

CHUNK_EDGES = [1, 63, 64, 65, 128, 130]


def numbers(rows: int, seed: int = 0, classes: int = 9, width: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, width), (classes, width), (classes,)]
    found = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    return [*found, torch.randint(classes, (rows,), generator=generator)]


@pytest.mark.parametrize("rows", CHUNK_EDGES)
@pytest.mark.parametrize("biased", [True, False])
def test_loss_and_gradients_are_those_of_cross_entropy(
    rows: int, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax, "_BUFFER_NUMBERS", 1)  # chunks of 64 rows
    s, V, c, targets = numbers(rows)
    leaves = [s, V, c][: 3 if biased else 2]
    for leaf in leaves:
        leaf.requires_grad_()
    ours = softmax_loss(s, V, c if biased else None, targets)
    wanted = F.cross_entropy(F.linear(s, V, c if biased else None), targets)
    torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12)
    grads = torch.autograd.grad(3 * ours, leaves)
    wanted_grads = torch.autograd.grad(3 * wanted, leaves)
    torch.testing.assert_close(grads, wanted_grads, rtol=1e-10, atol=1e-12)


class _Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation returns."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


def test_no_tensor_grows_with_the_positions_times_the_vocabulary() -> None:
    largest = []
    for rows in (600, 6000):
        s, V, c, targets = numbers(rows, classes=3000)
        leaves = [tensor.requires_grad_() for tensor in (s, V, c)]
        with _Largest() as seen:
            torch.autograd.grad(softmax_loss(s, V, c, targets), leaves)
        largest.append(seen.numbers)
    assert 3000 < largest[0] == largest[1] < 600 * 3000


@pytest.mark.parametrize("biased", [True, False])
def test_gradients_are_those_of_finite_differences(biased: bool) -> None:
    s, V, c, targets = numbers(5)
    leaves = [tensor.requires_grad_() for tensor in ([s, V, c] if biased else [s, V])]

    def loss(*given: torch.Tensor) -> torch.Tensor:
        return softmax_loss(given[0], given[1], given[2] if biased else None, targets)

    assert torch.autograd.gradcheck(loss, leaves)


@pytest.mark.parametrize("scale", [1e-30, 30.0, 1e4, 1e18])
def test_extreme_logits_stay_finite(scale: float) -> None:
    s, V, c, targets = (t.float() if t.is_floating_point() else t for t in numbers(40))
    V = (V * scale).requires_grad_()
    loss = softmax_loss(s, V, c, targets)
    wanted = F.cross_entropy(F.linear(s, V, c), targets)
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-5)
    (grad,) = torch.autograd.grad(loss, [V])
    (wanted_grad,) = torch.autograd.grad(wanted, [V])
    assert grad.isfinite().all()
    torch.testing.assert_close(grad, wanted_grad, rtol=1e-4, atol=1e-6)


def test_without_gradient_it_is_the_same_loss() -> None:
    s, V, c, targets = numbers(70)
    with torch.no_grad():
        alone = softmax_loss(s, V, c, targets)
    torch.testing.assert_close(
        alone, softmax_loss(s.requires_grad_(), V, c, targets), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("rows", CHUNK_EDGES)
def test_scores_are_costs_one_by_one(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "_BUFFER_NUMBERS", 1)
    s, V, c, targets = numbers(rows)
    nats, likeliest = score_targets(s, V, c, targets)
    logits = F.linear(s, V, c)
    wanted = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(nats, wanted, rtol=1e-12, atol=1e-12)
    assert torch.equal(likeliest, logits.argmax(1) == targets)


def test_an_infinite_weight_shows_in_the_loss() -> None:
    s, V, c, targets = numbers(4)
    V[2, 1] = float("inf")
    assert not softmax_loss(s, V.requires_grad_(), c, targets).isfinite()
