from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from chargen.network.shapes import build_model
from chargen.options import ModelConfig, Recipe, TrainConfig
from chargen.training.optimizer import (
    OPTIMIZERS,
    build_optimizer,
    clip_gradients,
    optimized,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from tests.support import small_model

RECIPE = Recipe()


def test_the_table_has_every_optimiser_that_may_be_chosen() -> None:
    assert list(OPTIMIZERS) == list(TrainConfig.entries()["optimizer"].option.choices or ())
    assert set(OPTIMIZERS) == set(RECIPE.lr_of_optimizer)


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


def test_weights_of_ngrams_descend_by_the_gradient_alone() -> None:
    config = ModelConfig(
        11, task="classify", records=True, labels=3, ngram="2", ngram_rows=9, ngram_weights=9
    )
    model = build_model(config)
    model.reset_parameters(0)
    optimizer = build_optimizer(model, TrainConfig(lr=0.004, optimizer="adamw"), RECIPE)
    W = dict(model.named_parameters())["weighed.W"]
    assert not any(p is W for p in optimized(optimizer))
    set_learning_rate(optimizer, 0.001)
    for n in (1.0, -3.0):
        model.zero_grad()
        before, W.grad = W.detach().clone(), torch.full_like(W, n)
        optimizer.step()
        rate = 0.001 * RECIPE.lr_of_ngram_weights * math.sqrt(3)
        torch.testing.assert_close(W, before - rate * n)
    by_sgd = build_optimizer(model, TrainConfig(lr=0.4, optimizer="sgd"), RECIPE)
    set_learning_rate(by_sgd, 0.001 * RECIPE.lr_of_optimizer["sgd"])
    model.zero_grad()
    before, W.grad = W.detach().clone(), torch.ones_like(W)
    by_sgd.step()
    torch.testing.assert_close(W, before - 0.001 * RECIPE.lr_of_ngram_weights * math.sqrt(3))
    before_that = replace(RECIPE, lr_of_ngram_weights=0.0)
    assert any(p is W for p in optimized(build_optimizer(model, TrainConfig(), before_that)))


def test_weight_decay_spares_the_biases() -> None:
    model = small_model()
    optimizer = build_optimizer(model, TrainConfig(weight_decay=0.5, optimizer="adamw"), RECIPE)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    assert {decay[id(p)] for p in model.parameters() if p.ndim > 1} == {0.5}
    assert {decay[id(p)] for p in model.parameters() if p.ndim < 2} == {0.0}
    assert len(decay) == len(list(model.parameters()))


@pytest.mark.parametrize("tied", [False, True])
def test_parts_of_a_tied_network_have_rates_of_their_own(tied: bool) -> None:
    model = small_model(tie_weights=tied)
    optimizer = build_optimizer(model, TrainConfig(lr=0.5), RECIPE)
    set_learning_rate(optimizer, 0.1)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    wanted = {"P": 0.2, "layers.0.U": 0.05} if tied else {}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == wanted.get(name, 0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_comes_back_bit_for_bit(name: str) -> None:
    models = [small_model().float() for _ in range(2)]
    config = TrainConfig(optimizer=name, lr=1e-2)
    optimizers = [build_optimizer(model, config, RECIPE) for model in models]

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
    optimizer = build_optimizer(model, TrainConfig(), RECIPE)
    with pytest.raises(ValueError, match="a state for 0"):
        restore_optimizer(optimizer, model, {"0.exp_avg": torch.zeros(11, 5)})


def test_sgd_has_nesterov_momentum() -> None:
    optimizer = build_optimizer(small_model(), TrainConfig(optimizer="sgd"), RECIPE)
    assert all(g["nesterov"] and g["momentum"] == 0.9 for g in optimizer.param_groups)
