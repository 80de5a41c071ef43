"""Cells against others that they must agree with, and against closed formulas."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from chargen.cells.base import Cell
from chargen.cells.clockwork import Clockwork
from chargen.cells.ctrnn import CTRNN
from chargen.cells.feedforward import Feedforward
from chargen.cells.jordan import Jordan, Output
from chargen.cells.lstm import LSTM
from chargen.cells.peephole import Peephole
from chargen.cells.rnn import RNN

T, B, H = 7, 3, 5
INPUT = 4


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def _outputs(cell: Cell, x: Tensor) -> Tensor:
    outputs: Tensor = cell(x, cell.initial_state(x.shape[1]))[0]
    return outputs


def _with_weights_of(cell: Cell, other: Cell, **more: Tensor) -> None:
    cell.load_state_dict({**other.state_dict(), **more})


def test_a_blind_peephole_is_an_lstm() -> None:
    lstm, peephole = LSTM(INPUT, H).double(), Peephole(INPUT, H).double()
    lstm.reset_parameters()
    nothing = torch.zeros(H)
    _with_weights_of(peephole, lstm, p_i=nothing, p_f=nothing, p_o=nothing)
    torch.testing.assert_close(
        _outputs(peephole, random(T, B, INPUT)), _outputs(lstm, random(T, B, INPUT))
    )


def test_continuous_time_without_delay_is_a_simple_network() -> None:
    rnn, ctrnn = RNN(INPUT, H).double(), CTRNN(INPUT, H).double()
    rnn.reset_parameters()
    _with_weights_of(ctrnn, rnn, rho=torch.full((H,), -math.inf))
    torch.testing.assert_close(
        _outputs(ctrnn, random(T, B, INPUT)), _outputs(rnn, random(T, B, INPUT))
    )


def test_small_euler_steps_approach_the_solution_of_the_equation() -> None:
    cell = CTRNN(INPUT, H, dt=1 / 512).double()
    cell.reset_parameters()
    with torch.no_grad():
        cell.W.zero_()
    x, s_0 = random(1, B, INPUT), random(B, H, seed=2)
    _, (s,) = cell(x, (s_0,))
    target = torch.tanh(cell.project(x[0]))
    torch.testing.assert_close(
        s, target + (s_0 - target) * torch.exp(-1 / cell.tau), rtol=0, atol=2e-3
    )


def test_a_clockwork_of_one_module_is_a_simple_network() -> None:
    rnn, clockwork = RNN(INPUT, H).double(), Clockwork(INPUT, H, modules=1).double()
    rnn.reset_parameters()
    weights = {"U": rnn.state_dict()["U"], "b": rnn.state_dict()["b"], "W.0": rnn.W.detach()}
    clockwork.load_state_dict(weights)
    torch.testing.assert_close(
        _outputs(clockwork, random(T, B, INPUT)), _outputs(rnn, random(T, B, INPUT))
    )


def test_a_clockwork_module_moves_only_when_its_clock_strikes() -> None:
    cell = Clockwork(INPUT, 6, modules=3).double()
    cell.reset_parameters(torch.Generator().manual_seed(0))
    s = torch.cat([torch.zeros(1, B, 6).double(), _outputs(cell, random(9, B, INPUT))])
    moved = (s[1:] != s[:-1]).all(dim=1)
    for t in range(9):
        assert moved[t].tolist() == [t % period == 0 for period in (1, 1, 2, 2, 4, 4)]


def test_a_clockwork_module_sees_no_faster_one() -> None:
    cell = Clockwork(INPUT, 6, modules=3).double()
    cell.reset_parameters()
    W = cell.recurrent_matrix()
    fastest, middle, slowest = slice(0, 2), slice(2, 4), slice(4, 6)
    assert not W[middle, fastest].any()
    assert not W[slowest, slice(0, 4)].any()
    assert W[fastest].all()
    assert sum(p.numel() for p in cell.W) == 2 * 6 + 2 * 4 + 2 * 2


def test_jordan_under_teacher_forcing_sees_two_characters() -> None:
    cell = Jordan(INPUT, H, teacher_forcing=True).double()
    cell.reset_parameters()
    x = random(T, B, INPUT)
    changed = x.clone()
    changed[2] += 1
    differs = (_outputs(cell, x) != _outputs(cell, changed)).flatten(1).any(dim=1)
    assert differs.tolist() == [t in (2, 3) for t in range(T)]


def test_feedforward_is_a_layer_of_the_current_input_alone() -> None:
    cell = Feedforward(INPUT, H, activation="relu").double()
    cell.reset_parameters()
    assert cell.U is not None
    x, (state,) = random(T, B, INPUT), cell.initial_state(B)
    outputs, (after,) = cell(x, (state + 9,))
    torch.testing.assert_close(outputs, torch.relu(x @ cell.U.T))
    assert torch.equal(after, outputs[-1])


def test_jordan_is_fed_the_softmax_of_its_own_output() -> None:
    V, c = random(6, H), random(6, seed=3)
    cell = Jordan(INPUT, H, output=Output(V, c)).double()
    cell.reset_parameters()
    assert cell.W is not None
    x, h = random(3, B, INPUT), random(B, H, seed=1)
    outputs, _ = cell(x, (h,))
    for t in range(3):
        o = torch.softmax(h @ V.T + c, dim=-1)
        h = torch.tanh(cell.project(x[t]) + o @ cell.W.T)
        torch.testing.assert_close(outputs[t], h)
