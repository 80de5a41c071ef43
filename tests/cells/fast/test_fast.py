"""Every fast way through a cell against automatic differentiation of its equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from chargen.cells.activations import ACTIVATIONS
from chargen.cells.base import Cell, State
from chargen.cells.fast.activations import FAST_ACTIVATIONS
from chargen.cells.fast.kernels import run_kernel
from chargen.cells.fast.lstm import FastLSTM
from tests.cells.cases import each_case
from tests.cells.fast.equations import equations_of
from tests.support import small_model

T, B, INPUT, V = 7, 3, 5, 11

Pass = tuple[Tensor, State]


def forward(cell: Cell, x: Tensor, state: State) -> Pass:
    outputs, after = cell(x, state)
    return outputs, after


def scan(cell: Cell, x: Tensor, state: State) -> Pass:
    return cell.scan(cell.project(x), state)


def step(cell: Cell, x: Tensor, state: State) -> Pass:
    return Cell.scan(cell, cell.project(x), state)


def fused(cell: Any, x: Tensor, state: State) -> Pass:
    result: Pass = cell.fused(x, state)
    return result


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def with_gradients(
    run: Callable[[Cell, Tensor, State], Pass], cell: Cell, x: Tensor, state: State, more: Any
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Outputs and the state after them, and the gradients of a random function of them all."""
    outputs, after = run(cell, x, state)
    results = [outputs, *after]
    seen = [tensor for tensor in results if tensor.is_floating_point()]
    loss = sum((r * random(*r.shape, seed=n)).sum() for n, r in enumerate(seen))
    leaves = [x, *(t for t in state if t.requires_grad), *cell.parameters(), *more]
    assert isinstance(loss, Tensor)
    return results, torch.autograd.grad(loss, leaves, allow_unused=True)


def assert_as_the_equations(
    options: dict[str, Any], way: Callable[[Cell, Tensor, State], Pass]
) -> None:
    (cell,) = small_model(V, **options).cells
    with torch.no_grad():
        _, state = cell(random(3, B, INPUT, seed=1), cell.initial_state(B))
    for tensor in state:
        tensor.requires_grad_(tensor.is_floating_point())
    x = random(T, B, INPUT, seed=2).requires_grad_()
    more = [each for each in getattr(cell, "output", None) or () if each is not None]
    found = with_gradients(way, cell, x, state, more)
    wanted = with_gradients(forward, equations_of(cell), x, state, more)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@each_case
@pytest.mark.parametrize("way", [forward, scan, step])
def test_outputs_and_gradients_are_those_of_the_equations(
    options: dict[str, Any], way: Callable[[Cell, Tensor, State], Pass]
) -> None:
    assert_as_the_equations(options, way)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "options", [{"cell": "rnn"}, {"cell": "rnn", "activation": "relu"}, {"cell": "gru"}]
)
def test_a_kernel_for_gpus_computes_the_equations(options: dict[str, Any], bias: bool) -> None:
    assert_as_the_equations({**options, "bias": bias}, fused)


def test_every_activation_has_a_fast_version() -> None:
    assert FAST_ACTIVATIONS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_in_place_and_backwards_is_the_activation(name: str) -> None:
    plain, fast = ACTIVATIONS[name], FAST_ACTIVATIONS[name]
    a, grad = random(50, seed=0).requires_grad_(), random(50, seed=1)
    s = plain.function(a)
    (wanted,) = torch.autograd.grad(s, a, grad)
    torch.testing.assert_close(fast.in_place(a.detach().clone()), s.detach())
    out = torch.empty_like(grad)
    assert fast.backward(grad, s.detach(), out) is out
    torch.testing.assert_close(out, wanted)
    steepest = wanted / grad / plain.slope(s.detach())
    known = steepest[steepest.isfinite()]
    torch.testing.assert_close(known, known[0].expand_as(known))


def test_a_kernel_has_no_one_hot_input() -> None:
    cell = FastLSTM(0, 4)
    with pytest.raises(ValueError, match="one-hot"):
        run_kernel(torch.lstm, cell, torch.zeros(1, 1, 16), cell.initial_state(1))
