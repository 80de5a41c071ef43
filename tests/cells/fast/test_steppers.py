"""Generating one step at a time, against ``Cell.step``."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from chargen.cells.base import Cell
from chargen.cells.fast.rows import padded
from chargen.cells.fast.stepper import Stepper, stepper_of
from tests.cells.cases import each_case
from tests.cells.fast.equations import equations_of
from tests.support import small_model

T, B, INPUT, SPARE = 5, 32, 5, 3
TOLERANCE = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.float64: {}}


def in_steps(cell: Cell, stepper: Stepper, below: torch.Tensor) -> None:
    """Feed both what a lower layer put out, ``below`` (T, B, INPUT)."""
    state, own = cell.initial_state(len(below[0])), stepper.initial_state(len(below[0]))
    H = cell.hidden_size
    for s in below:
        wanted, state = cell.step(cell.project(s), state)
        with_spare = torch.nn.functional.pad(s, [0, SPARE], value=0.5)
        found = stepper.step(stepper.project(with_spare), own)
        assert found.shape == (len(s), stepper.outputs)
        torch.testing.assert_close(found[:, :H], wanted, **TOLERANCE[s.dtype])
        for mine, theirs in zip(own, state, strict=True):
            seen = mine[:, :H] if mine.ndim == 2 else mine
            torch.testing.assert_close(seen, theirs, **TOLERANCE[s.dtype])


@torch.no_grad()
@each_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_stepper_makes_the_steps_of_its_cell(options: dict[str, Any], dtype: torch.dtype) -> None:
    model = small_model(**options).to(dtype)
    (cell,) = model.cells
    below = torch.randn(T, B, INPUT, dtype=dtype, generator=torch.Generator().manual_seed(0))
    in_steps(cell, stepper_of(cell, INPUT + SPARE), below)


@torch.no_grad()
@each_case
def test_a_cell_without_a_stepper_gets_the_general_one(options: dict[str, Any]) -> None:
    (cell,) = small_model(**options).cells
    plain = equations_of(cell)
    stepper = stepper_of(plain, INPUT + SPARE)
    assert type(stepper) is Stepper
    below = torch.randn(
        T, B, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    in_steps(plain, stepper, below)


@torch.no_grad()
@each_case
def test_weights_are_arranged_as_the_steps_expect_them(options: dict[str, Any]) -> None:
    (cell,) = small_model(**options).cells
    x = torch.randn(B, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    stepper = stepper_of(cell, INPUT)
    looked_up = stepper.arrange(cell.project(x).T).T
    torch.testing.assert_close(looked_up, stepper.project(x))


def test_the_lowest_layer_projects_nothing() -> None:
    (cell,) = small_model(cell="lstm").cells
    with pytest.raises(ValueError, match="looks its input up"):
        stepper_of(cell).project(torch.zeros(B, padded(8)))
