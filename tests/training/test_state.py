from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chargen.network.base import ModelState, map_state
from chargen.options import CorpusConfig, ModelConfig, Recipe, TrainConfig
from chargen.runs.config import CorpusRecord, RunConfig
from chargen.training.state import TrainingState

H, T = 6, 256


def state_of(batch: int, cell: str = "lstm") -> TrainingState:
    """A training state whose carried numbers are all 1, whose clocks stand at 8."""
    record = CorpusRecord("", (), CorpusConfig(), {}, 9, 9, 0)
    training = TrainConfig(batch_size=batch, seq_length=T)
    config = RunConfig(ModelConfig(5, cell=cell, hidden_size=H), training, record, "", "", "")
    state = TrainingState(config, torch.device("cpu"))
    state.carried = map_state(state.model.initial_state(batch), _begun)
    return state


def _begun(tensor: Tensor) -> Tensor:
    return torch.full_like(tensor, 1 if tensor.is_floating_point() else 8)


def fresh_lanes(before: ModelState) -> list[int]:
    """Lanes in which every float is zero; the others must be carried as they were."""
    lanes = []
    for lane in range(len(before[0][0])):
        values = {float(v) for t in before[0] if t.is_floating_point() for v in t[lane]}
        assert values in ({0.0}, {1.0})
        if values == {0.0}:
            lanes.append(lane)
    return lanes


@pytest.mark.parametrize("batch", [1, 3, 8, 20])
def test_every_lane_starts_anew_once_in_a_while(batch: int) -> None:
    state = state_of(batch)
    every = max(batch, Recipe().fresh_after // T)
    seen: dict[int, list[int]] = {lane: [] for lane in range(batch)}
    for state.step in range(3 * every):
        lanes = fresh_lanes(state.before_window(epoch_starts=False))
        assert len(lanes) <= 1
        for lane in lanes:
            seen[lane].append(state.step)
    for steps in seen.values():
        assert len(steps) == 3
        assert steps[2] - steps[1] == steps[1] - steps[0] == every


def test_all_lanes_start_anew_with_the_epoch() -> None:
    state = state_of(4)
    state.step = 3
    assert fresh_lanes(state.before_window(epoch_starts=True)) == [0, 1, 2, 3]
    state.carried = None
    assert fresh_lanes(state.before_window(epoch_starts=False)) == [0, 1, 2, 3]


def test_what_is_carried_is_left_as_it_was() -> None:
    state = state_of(2)
    state.before_window(epoch_starts=False)
    assert state.carried is not None
    assert fresh_lanes(state.carried) == []


def test_clocks_go_on() -> None:
    """Rows whose clocks agree are computed together."""
    state = state_of(2, "clockwork")
    (s, t), *_ = state.before_window(epoch_starts=False)
    assert (s[0] == 0).all()
    assert t.tolist() == [8, 8]
