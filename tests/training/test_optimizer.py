from __future__ import annotations

import math

import pytest
import torch

from chargen.config import OPTIMIZERS, TrainConfig
from chargen.training.optimizer import (
    build_optimizer,
    clip_gradients,
    dropout_share,
    learning_rate,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from tests.support import small_model


def test_learning_rate_rises_linearly_is_held_and_falls_as_a_cosine() -> None:
    config = TrainConfig(lr=0.4, lr_final=0.1, warmup_steps=10)
    rates = [learning_rate(step, 100, config) for step in range(101)]
    for step in range(10):
        assert rates[step] == pytest.approx(0.4 * (step + 1) / 10)
    assert set(rates[10:41]) == {0.4}
    for step in range(41, 101):
        half_turn = math.pi * (step - 40) / 60
        assert rates[step] == pytest.approx(0.04 + 0.36 * (1 + math.cos(half_turn)) / 2)
    assert rates[100] == pytest.approx(0.04)


def test_a_warm_up_longer_than_the_hold_ends_before_the_rate_falls() -> None:
    config = TrainConfig(lr=1.0, lr_final=0.0, warmup_steps=60)
    rates = [learning_rate(step, 100, config) for step in range(101)]
    assert rates[59] == rates[60] == 1
    assert rates[80] == pytest.approx(0.5)


def test_no_rate_before_the_fall_depends_on_the_number_of_steps() -> None:
    config = TrainConfig(warmup_steps=10)
    for step in range(10):
        assert len({learning_rate(step, total, config) for total in (None, 1, 12, 9999)}) == 1
    for step in range(10, 41):
        assert len({learning_rate(step, total, config) for total in (None, 100, 9999)}) == 1


@pytest.mark.parametrize(("step", "total"), [(0, 1), (5, 1), (0, 0), (3, 3)])
def test_short_runs_have_a_finite_rate(step: int, total: int) -> None:
    rate = learning_rate(step, total, TrainConfig(lr=1.0, warmup_steps=0))
    assert 0 < rate <= 1


@pytest.mark.parametrize("largest", [0.5, 2.0, 1e9, 0.0])
def test_clipping_scales_all_gradients_to_the_norm(largest: float) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(3, 4)), torch.nn.Parameter(torch.zeros(5))]
    gradients = [torch.arange(12.0).reshape(3, 4) - 5, torch.tensor([1.0, -2, 3, -4, 5])]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    assert clip_gradients(parameters, largest) == pytest.approx(norm)
    scale = min(1.0, largest / norm) if largest else 1.0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient * scale, rtol=1e-5, atol=1e-6)


def test_a_norm_that_is_not_finite_is_told() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([1.0, float("inf")])
    assert not math.isfinite(clip_gradients([parameter], 1.0))


def test_weight_decay_spares_the_biases() -> None:
    model = small_model()
    optimizer = build_optimizer(model, TrainConfig(weight_decay=0.5, optimizer="adamw"))
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    assert {decay[id(p)] for p in model.parameters() if p.ndim > 1} == {0.5}
    assert {decay[id(p)] for p in model.parameters() if p.ndim < 2} == {0.0}
    assert len(decay) == len(list(model.parameters()))


@pytest.mark.parametrize("tied", [False, True])
def test_parts_of_a_tied_network_have_rates_of_their_own(tied: bool) -> None:
    model = small_model(tie_weights=tied)
    optimizer = build_optimizer(model, TrainConfig(lr=0.5))
    set_learning_rate(optimizer, 0.1)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    wanted = {"P": 0.2, "layers.0.U": 0.05} if tied else {}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == wanted.get(name, 0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_comes_back_bit_for_bit(name: str) -> None:
    models = [small_model().float() for _ in range(2)]
    config = TrainConfig(optimizer=name, lr=1e-2)
    optimizers = [build_optimizer(model, config) for model in models]

    def step(number: int) -> None:
        ids = torch.randint(11, (6, 3), generator=torch.Generator().manual_seed(7))
        loss, _ = models[number].loss(ids[:-1], ids[1:], models[number].initial_state(3))
        optimizers[number].zero_grad()
        loss.backward()
        optimizers[number].step()

    step(0)
    step(0)
    models[1].load_state_dict(models[0].state_dict())
    given = optimizer_tensors(optimizers[0], models[0])
    assert given
    restore_optimizer(optimizers[1], models[1], given)
    for number in (0, 1):
        step(number)
        step(number)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_another_model_is_an_error() -> None:
    model = small_model()
    optimizer = build_optimizer(model, TrainConfig())
    with pytest.raises(ValueError, match="knows 0"):
        restore_optimizer(optimizer, model, {"0.exp_avg": torch.zeros(11, 5)})


def test_sgd_has_nesterov_momentum() -> None:
    optimizer = build_optimizer(small_model(), TrainConfig(optimizer="sgd"))
    assert all(g["nesterov"] and g["momentum"] == 0.9 for g in optimizer.param_groups)


def test_dropout_grows_at_each_doubling_of_the_passes() -> None:
    config = TrainConfig(dropout=0.1, dropout_growth=0.05)
    shares = [dropout_share(passes, config) for passes in (0, 1, 3, 7, 1e9)]
    assert shares == pytest.approx([0.1, 0.15, 0.2, 0.25, 0.5])
    assert dropout_share(7, TrainConfig(dropout=0.7, dropout_growth=0.1)) == 0.7
    assert dropout_share(7, TrainConfig(dropout=0.2)) == 0.2
