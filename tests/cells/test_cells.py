"""Every cell of the table, against what the contract says and, where there is one, torch's own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from chargen.cells import build_cell
from chargen.cells.base import State
from chargen.errors import ConfigError
from chargen.options import CELLS
from tests.cells.cases import each_case
from tests.support import small_model

T, B, V = 7, 3, 11


def some_ids(steps: int = T, rows: int = B, seed: int = 0) -> torch.Tensor:
    return torch.randint(V, (steps, rows), generator=torch.Generator().manual_seed(seed))


def some_floats(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def floats(state: State) -> list[torch.Tensor]:
    return [tensor for tensor in state if tensor.is_floating_point()]


def rows_of(state: Any, pick: list[int]) -> Any:
    return tuple(tuple(tensor[pick] for tensor in layer) for layer in state)


def assert_states_equal(one: Any, other: Any) -> None:
    for layer, its in zip(one, other, strict=True):
        for tensor, wanted in zip(layer, its, strict=True):
            torch.testing.assert_close(tensor, wanted, rtol=1e-9, atol=1e-11)


@each_case
@pytest.mark.parametrize("layers", [1, 2])
def test_two_halves_are_the_whole(options: dict[str, Any], layers: int) -> None:
    if layers > 1 and CELLS[options["cell"]].wants_output:
        pytest.skip("can only be the last layer")
    model = small_model(V, num_layers=layers, **options)
    ids = some_ids()
    whole, end = model(ids, model.initial_state(B))
    first, middle = model(ids[:3], model.initial_state(B))
    second, last = model(ids[3:], middle)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-9, atol=1e-11)
    assert_states_equal(last, end)


@each_case
def test_every_block_of_u_and_w_has_a_name(options: dict[str, Any]) -> None:
    (cell,) = small_model(V, **options).cells
    assert cell.gates == len(set(cell.gate_names))
    for matrix in (cell.U, cell.recurrent_matrix()):
        assert matrix is None or matrix.shape[0] == cell.gates * cell.hidden_size


@each_case
def test_a_row_does_not_see_the_others(options: dict[str, Any]) -> None:
    model = small_model(V, **options)
    ids, order = some_ids(), [2, 0, 1]
    whole, end = model(ids, model.initial_state(B))
    shuffled, shuffled_end = model(ids[:, order], model.initial_state(B))
    torch.testing.assert_close(shuffled, whole[:, order], rtol=1e-9, atol=1e-11)
    assert_states_equal(shuffled_end, rows_of(end, order))


@each_case
def test_a_row_may_join_late(options: dict[str, Any]) -> None:
    model = small_model(V, **options)
    ids = some_ids()
    alone, _ = model(ids[:4, :1], model.initial_state(1))
    _, running = model(ids[:, 1:], model.initial_state(2))
    joined = tuple(
        tuple(torch.cat([new, old]) for new, old in zip(fresh, layer, strict=True))
        for fresh, layer in zip(model.initial_state(1), running, strict=True)
    )
    together, _ = model(ids[:4], joined)
    torch.testing.assert_close(together[:, :1], alone, rtol=1e-9, atol=1e-11)


@each_case
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    model = small_model(5, hidden_size=4, embedding_size=3, **options)
    (cell,) = model.cells
    x = some_floats(4, 2, 3)
    state = tuple(
        some_floats(*tensor.shape, seed=n) if tensor.is_floating_point() else tensor
        for n, tensor in enumerate(cell.initial_state(2))
    )
    inputs = [x, *floats(state)]
    weights = [*cell.parameters()]
    if CELLS[options["cell"]].wants_output:
        weights += [weight for weight in (model.V, model.c) if weight is not None]
    for tensor in inputs:
        tensor.requires_grad_()

    def outputs(*_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        s, after = cell.scan(cell.project(x), state)
        return s, *floats(after)

    assert torch.autograd.gradcheck(outputs, (*inputs, *weights), atol=1e-6, rtol=1e-4)


@each_case
def test_the_state_given_is_left_alone(options: dict[str, Any]) -> None:
    model = small_model(V, **options)
    _, state = model(some_ids(), model.initial_state(B))
    copies = tuple(tuple(tensor.clone() for tensor in layer) for layer in state)
    model(some_ids(seed=1), state)
    model.step(model.input_table()[some_ids()[0]], state)
    assert_states_equal(state, copies)


@each_case
def test_one_hot_input_is_a_product_with_a_one_hot_vector(options: dict[str, Any]) -> None:
    model = small_model(V, embedding_size=0, **options)
    (cell,) = model.cells
    ids = some_ids()
    looked_up, _ = model(ids, model.initial_state(B))
    u = F.one_hot(ids, V).double() @ model.table
    if cell.b is not None:
        u = u + cell.b
    multiplied, _ = cell.scan(u, cell.initial_state(B))
    torch.testing.assert_close(looked_up, multiplied, rtol=1e-9, atol=1e-11)


@each_case
def test_a_cell_has_no_bias_unless_asked(options: dict[str, Any]) -> None:
    model = small_model(V, **{**options, "bias": False})
    (cell,) = model.cells
    assert cell.b is None
    assert model.c is None


@each_case
def test_the_input_reaches_every_later_output(options: dict[str, Any]) -> None:
    if options.get("teacher_forcing") or options["cell"] == "feedforward":
        pytest.skip("sees one or two characters and no more")
    model = small_model(V, **options)
    ids = some_ids()
    changed = ids.clone()
    changed[0] = (ids[0] + 1) % V
    one, _ = model(ids, model.initial_state(B))
    other, _ = model(changed, model.initial_state(B))
    assert ((one - other).abs().sum(dim=2) > 0).any(dim=0).all()
    assert not torch.equal(one[-1], other[-1])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("twin", ["rnn-tanh", "rnn-relu", "lstm", "gru"])
def test_agrees_with_its_twin_in_torch(twin: str, bias: bool) -> None:
    cell_name, _, activation = twin.partition("-")
    options = {"activation": activation} if activation else {}
    model = small_model(V, cell=cell_name, bias=bias, **options)
    (cell,) = model.cells
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell_name]
    arguments = {"nonlinearity": activation} if activation else {}
    theirs = kind(5, 8, bias=bias, **arguments).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(cell.U)
        theirs.weight_hh_l0.copy_(cell.W)
        if bias:
            theirs.bias_ih_l0.copy_(cell.b)
            theirs.bias_hh_l0.zero_()
            if cell_name == "gru":
                theirs.bias_hh_l0[-8:] = cell.d
    x = F.embedding(some_ids(), model.table)
    state = tuple(
        0.1 * torch.randn(B, 8, generator=torch.Generator().manual_seed(n)).double()
        for n in range(2 if cell_name == "lstm" else 1)
    )
    given = tuple(tensor[None] for tensor in state)
    wanted, end = theirs(x, given if cell_name == "lstm" else given[0])
    outputs, after = cell(x, state)
    torch.testing.assert_close(outputs, wanted, rtol=1e-9, atol=1e-11)
    for tensor, its in zip(after, end if cell_name == "lstm" else (end,), strict=True):
        torch.testing.assert_close(tensor, its[0], rtol=1e-9, atol=1e-11)
    wanted_grads = torch.autograd.grad(wanted.square().sum(), [theirs.weight_hh_l0])
    grads = torch.autograd.grad(outputs.square().sum(), [cell.W])
    torch.testing.assert_close(grads, wanted_grads, rtol=1e-8, atol=1e-10)


def test_a_forget_gate_begins_open() -> None:
    cell = build_cell("lstm", 4, 6, bias=True)
    cell.reset_parameters()
    assert cell.b is not None
    assert cell.b.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12


def test_an_unknown_cell_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no cell 'nonsense'") as caught:
        build_cell("nonsense", 3, 4, bias=True)
    assert all(name in caught.value.remedy for name in CELLS)


def test_naming_the_cells_imports_no_torch() -> None:
    code = "import sys, chargen.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
