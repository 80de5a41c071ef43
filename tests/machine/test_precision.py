from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from chargen.machine.devices import autocast
from chargen.machine.precision import exact_float32
from chargen.network.model import CharModel, Dropout
from chargen.network.softmax import softmax_loss
from chargen.options import CELLS, ModelConfig
from tests.support import last_state, metrics, train_tiny

CPU = torch.device("cpu")
V, T, B = 150, 12, 4
SHAPES = [*({"cell": name} for name in CELLS), {"tie_weights": True}, {"embedding_size": 0}]


def a_model(**options: object) -> CharModel:
    config = ModelConfig(V, **{"hidden_size": 32, "embedding_size": 16, **options})  # type: ignore[arg-type]
    model = CharModel(config)
    model.reset_parameters(0)
    return model


def loss_and_gradients(
    model: CharModel, precision: str, device: torch.device = CPU
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Of a window: loss, all gradients in a row, and the states after it."""
    ids = torch.randint(V, (T + 1, B), generator=torch.Generator().manual_seed(1)).to(device)
    model.zero_grad()
    with autocast(precision, device):
        loss, after = model.loss(ids[:-1], ids[1:], model.initial_state(B))
    loss.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return loss.detach(), torch.cat(gradients), [t for layer in after for t in layer]


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_bfloat16_rounds_products_and_keeps_the_rest_in_full(options: dict[str, object]) -> None:
    model = a_model(num_layers=1 if options.get("cell") == "jordan" else 2, **options)
    loss, gradients, states = loss_and_gradients(model, "bfloat16")
    full_loss, full_gradients, full_states = loss_and_gradients(model, "float32")
    assert loss.dtype == gradients.dtype == torch.float32
    assert [t.dtype for t in states] == [t.dtype for t in full_states]
    assert loss != full_loss
    assert abs(loss - full_loss) < 0.01 * full_loss
    assert F.cosine_similarity(gradients, full_gradients, dim=0) > 0.999


@pytest.mark.parametrize("biased", [True, False])
def test_the_mixed_loss_is_that_of_rounded_factors(biased: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    s, W, c = (torch.randn(*shape, generator=generator) for shape in ((300, 24), (V, 24), (V,)))
    targets = torch.randint(V, (300,), generator=generator)
    leaves = [s.requires_grad_(), W.requires_grad_(), c.requires_grad_()][: 3 if biased else 2]
    given = c if biased else None
    with autocast("bfloat16", CPU):
        ours = softmax_loss(s, W, given, targets)
    logits = F.linear(s.bfloat16().float(), W.bfloat16().float(), given)
    wanted = F.cross_entropy(logits, targets)
    torch.testing.assert_close(ours, wanted, rtol=5e-3, atol=0)
    for grad, expected in zip(
        torch.autograd.grad(ours, leaves), torch.autograd.grad(wanted, leaves), strict=True
    ):
        assert grad.dtype == torch.float32
        assert (grad - expected).norm() < 0.01 * expected.norm()


def test_auto_is_float32_on_a_cpu(corpus: Path, tmp_path: Path) -> None:
    assert not autocast("auto", CPU)._enabled
    runs = [
        train_tiny(corpus, tmp_path / precision, precision=precision).path
        for precision in ("auto", "float32", "bfloat16")
    ]
    auto, full, mixed = ({**last_state(run)} for run in runs)
    assert auto == full != mixed
    losses = [metrics(run)[-1]["best_bits_per_char"] for run in runs]
    assert losses[2] == pytest.approx(losses[1], rel=0.02)


def test_dropout_keeps_the_format_of_what_it_drops() -> None:
    x = torch.ones(3, 2, 5, dtype=torch.bfloat16)
    assert Dropout(0.5, torch.Generator().manual_seed(0))(x).dtype == torch.bfloat16


def test_tf32_is_off_inside_and_as_before_after() -> None:
    before = torch.backends.cudnn.allow_tf32
    with exact_float32():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.cuda
@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_a_gpu_agrees_with_the_cpu_to_rounding(options: dict[str, object]) -> None:
    model, cuda = a_model(**options), torch.device("cuda")
    with exact_float32():
        here = loss_and_gradients(model, "float32")
        there = loss_and_gradients(model.to(cuda), "float32", cuda)
    for ours, theirs in zip(here[:2], there[:2], strict=True):
        torch.testing.assert_close(theirs.cpu(), ours, rtol=1e-4, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_bfloat16_on_a_gpu_is_near(options: dict[str, object]) -> None:
    model, cuda = a_model(**options).to("cuda"), torch.device("cuda")
    loss, gradients, _ = loss_and_gradients(model, "bfloat16", cuda)
    full_loss, full_gradients, _ = loss_and_gradients(model, "float32", cuda)
    assert abs(loss - full_loss) < 0.01 * full_loss
    assert F.cosine_similarity(gradients, full_gradients, dim=0) > 0.999
