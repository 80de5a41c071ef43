from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from chargen.network.base import map_state
from chargen.network.dropout import Dropout
from chargen.network.model import CharModel
from chargen.options import ModelConfig
from tests.support import small_model

V, T, B = 11, 6, 3
SHAPES = [
    pytest.param({}, id="embedding"),
    pytest.param({"embedding_size": 0}, id="one-hot"),
    pytest.param({"num_layers": 3}, id="layers"),
    pytest.param({"tie_weights": True}, id="tied"),
    pytest.param({"bias": False}, id="unbiased"),
]
each_shape = pytest.mark.parametrize("options", SHAPES)


def window(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(V, (T + 1, B), generator=torch.Generator().manual_seed(seed))
    return ids[:-1], ids[1:]


@each_shape
def test_loss_is_the_mean_cross_entropy_of_the_logits(options: dict[str, Any]) -> None:
    model = small_model(V, **options)
    ids, targets = window()
    loss, _ = model.loss(ids, targets, model.initial_state(B))
    s, _ = model(ids, model.initial_state(B))
    wanted = F.cross_entropy(model.logits(s).flatten(0, 1), targets.flatten())
    torch.testing.assert_close(loss, wanted, rtol=1e-10, atol=1e-12)


@each_shape
def test_scores_are_costs_of_the_logits(options: dict[str, Any]) -> None:
    model = small_model(V, **options)
    ids, targets = window()
    s, _ = model(ids, model.initial_state(B))
    nats, top = model.score(s[-1], targets[-1])
    logits = model.logits(s[-1])
    wanted = F.cross_entropy(logits, targets[-1], reduction="none")
    torch.testing.assert_close(nats, wanted, rtol=1e-10, atol=1e-12)
    assert torch.equal(top, logits.argmax(1) == targets[-1])


@each_shape
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    model = small_model(5, **{"hidden_size": 3, "embedding_size": 2, **options})
    names = [name for name, _ in model.named_parameters()]
    ids = torch.randint(5, (4, 2), generator=torch.Generator().manual_seed(3))

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> torch.Tensor:
            loss, _ = self.model.loss(ids[:-1], ids[1:], self.model.initial_state(2))
            return loss

    module = Loss()

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        weights = {f"model.{n}": p for n, p in zip(names, parameters, strict=True)}
        result: torch.Tensor = torch.func.functional_call(module, weights, ())
        return result

    assert torch.autograd.gradcheck(loss, list(model.parameters()), atol=1e-5, rtol=1e-4)


@each_shape
def test_steps_from_the_input_table_are_the_forward_pass(options: dict[str, Any]) -> None:
    model = small_model(V, **options)
    ids, _ = window()
    whole, end = model(ids, model.initial_state(B))
    table, state, outputs = model.input_table(), model.initial_state(B), []
    for row in ids:
        s, state = model.step(table[row], state)
        outputs.append(s)
    torch.testing.assert_close(torch.stack(outputs), whole, rtol=1e-9, atol=1e-11)
    for layer, wanted in zip(state, end, strict=True):
        torch.testing.assert_close(layer, wanted, rtol=1e-9, atol=1e-11)


@each_shape
def test_parts_are_all_the_parameters(options: dict[str, Any]) -> None:
    model = small_model(V, **options)
    assert sum(model.parameters_by_part().values()) == sum(p.numel() for p in model.parameters())


def test_weights_are_a_function_of_the_seed_alone() -> None:
    config = ModelConfig(vocab_size=V, hidden_size=8)
    torch.manual_seed(1)
    one, other, third = CharModel(config), CharModel(config), CharModel(config)
    before = torch.get_rng_state()
    one.reset_parameters(5)
    torch.rand(3)
    torch.set_rng_state(before)
    other.reset_parameters(5)
    third.reset_parameters(6)
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert not torch.equal(one.table, third.table)


def test_an_untrained_model_is_about_as_unsure_as_can_be() -> None:
    model = CharModel(ModelConfig(vocab_size=300, hidden_size=32))
    model.reset_parameters(0)
    ids = torch.randint(300, (21, 8), generator=torch.Generator().manual_seed(0))
    loss, _ = model.loss(ids[:-1], ids[1:], model.initial_state(8))
    assert abs(loss.item() - math.log(300)) < 0.2


def test_dropout_keeps_one_mask_a_row_for_a_window() -> None:
    dropout = Dropout(0.5, torch.Generator().manual_seed(3))
    out = dropout(torch.ones(7, 4, 1000))
    assert torch.equal(out, out[:1].expand_as(out))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(out[0, 0], out[0, 1])
    assert abs(float(out.mean()) - 1) < 0.1


def test_dropout_draws_from_its_own_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = Dropout(0.3, torch.Generator().manual_seed(3))(torch.ones(2, 3, 5))
    other = Dropout(0.3, torch.Generator().manual_seed(3))(torch.ones(2, 3, 5))
    assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_map_state_keeps_the_structure() -> None:
    model = small_model(V, num_layers=2, cell="lstm")
    doubled = map_state(model.initial_state(2), lambda tensor: tensor + 1)
    assert [len(layer) for layer in doubled] == [2, 2]
    assert all((tensor == 1).all() for layer in doubled for tensor in layer)


def mixture_loss(
    model: CharModel, ids: torch.Tensor, targets: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    """The loss with counts as its formula has it, for autograd."""
    assert model.w is not None
    assert model.b is not None
    s, _ = model(ids, model.initial_state(B))
    p = torch.softmax(model.logits(s), -1).gather(-1, targets[..., None])[..., 0]
    g = 1 / (1 + torch.exp(-(s @ model.w + model.b)))
    return (-0.5 * torch.log(g * p + (1 - g) * counted) - 0.5 * torch.log(p)).mean()


@each_shape
def test_loss_with_counts_and_its_gradients_are_the_formulas(options: dict[str, Any]) -> None:
    model = small_model(V, ngram="3", **options)
    assert model.w is not None
    with torch.no_grad():
        model.w.mul_(4)
    ids, targets = window()
    counted = torch.rand(T, B, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    loss, _ = model.loss(ids, targets, model.initial_state(B), counted=counted)
    wanted = mixture_loss(model, ids, targets, counted)
    torch.testing.assert_close(loss, wanted, rtol=1e-12, atol=1e-12)
    leaves = list(model.parameters())
    ours = torch.autograd.grad(loss, leaves)
    assert all(gradient.abs().sum() > 0 for gradient in ours)
    torch.testing.assert_close(ours, torch.autograd.grad(wanted, leaves), rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        alone, _ = model.loss(ids, targets, model.initial_state(B), counted=counted)
    torch.testing.assert_close(alone, wanted, rtol=1e-12, atol=1e-12)


def test_scores_of_the_mixture_are_those_of_whole_distributions() -> None:
    model = small_model(V, ngram="3")
    generator = torch.Generator().manual_seed(2)
    s = torch.randn(300, 8, generator=generator, dtype=torch.float64)
    targets = torch.randint(V, (300,), generator=generator)
    rows = torch.softmax(3 * torch.randn(300, V, generator=generator, dtype=torch.float64), 1)
    asked: list[int] = []

    def rows_of(at: torch.Tensor) -> torch.Tensor:
        asked.extend(at.tolist())
        return rows[at]

    counted = rows.gather(1, targets[:, None])[:, 0]
    with torch.no_grad():
        nats, top, own = model.score_mixed(s, targets, counted, rows_of)
        g = model.gate(s)
        mixture = g * torch.softmax(model.logits(s), 1) + (1 - g) * rows
    wanted = -mixture.gather(1, targets[:, None])[:, 0].log()
    torch.testing.assert_close(nats, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(own, model.score(s, targets)[0], rtol=1e-12, atol=1e-12)
    assert torch.equal(top, mixture.argmax(1) == targets)
    assert 0 < int(top.sum()) < 300
    assert 0 < len(asked) < 200


def test_a_gate_changes_nothing_of_the_networks_initial_weights() -> None:
    plain, mixed = (
        small_model(V).state_dict(),
        CharModel(ModelConfig(V, hidden_size=8, embedding_size=5, ngram="3")).double(),
    )
    mixed.reset_parameters(0)
    with_gate = mixed.state_dict()
    assert set(with_gate) - set(plain) == {"w", "b"}
    assert torch.equal(plain["V"], with_gate["V"])
