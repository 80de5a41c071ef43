from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from chargen.machine import devices, processor
from chargen.machine.devices import autocast
from chargen.machine.precision import bfloat16_speedup, exact_float32
from chargen.network.dropout import Dropout
from chargen.network.model import CharModel
from chargen.network.softmax import softmax_loss
from chargen.options import CELLS, ModelConfig
from chargen.runs.folder import RunFolder
from chargen.training.events import Event, Started
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


@pytest.fixture
def speedup(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how much faster this CPU is found to multiply in bfloat16."""
    return lambda found: monkeypatch.setattr(devices, "bfloat16_speedup", lambda: found)


def precision_of(run: Path) -> str | None:
    machine = RunFolder(run).read_config().machine
    return machine and machine.precision


def test_the_speed_of_bfloat16_products_is_measured_once() -> None:
    assert 0.01 < bfloat16_speedup() < 100
    assert bfloat16_speedup() == bfloat16_speedup()


def test_auto_is_what_a_cpu_is_made_for(
    corpus: Path, tmp_path: Path, speedup: Callable[[float], None]
) -> None:
    runs = {}
    for name, found in (("auto", 2.0), ("float32", 9.0), ("bfloat16", 1.0), ("made for it", 7.0)):
        speedup(found)
        asked = name if name in ("float32", "bfloat16") else "auto"
        runs[name] = train_tiny(corpus, tmp_path / name, precision=asked, device="cpu").path
    states = {name: dict(last_state(run)) for name, run in runs.items()}
    assert states["auto"] == states["float32"] != states["bfloat16"] == states["made for it"]
    assert precision_of(runs["made for it"]) == precision_of(runs["bfloat16"]) == "bfloat16"
    bits = [metrics(runs[name])[-1]["best_bits_per_char"] for name in ("float32", "bfloat16")]
    assert bits[1] == pytest.approx(bits[0], rel=0.02)


def test_a_run_goes_on_in_the_format_it_was_begun_in(
    corpus: Path,
    tmp_path: Path,
    speedup: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resumed(found: float, steps: int) -> tuple[str | None, list[str]]:
        events: list[Event] = []
        speedup(found)
        run = train_tiny(
            corpus, tmp_path, device="cpu", max_steps=steps, resume=True, on_event=events.append
        )
        notes = next(event.notes for event in events if isinstance(event, Started))
        return precision_of(run.path), [note for note in notes if "bit for bit" in note]

    assert resumed(1.0, 2) == ("float32", [])
    assert resumed(7.0, 4) == ("float32", [])
    (tmp_path / "run").rename(tmp_path / "slow")
    assert resumed(7.0, 2) == ("bfloat16", [])
    assert resumed(1.0, 4) == ("bfloat16", [])
    (tmp_path / "cpuinfo").write_text("model name: Abacus\n")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    precision, (note,) = resumed(1.0, 6)
    assert precision == "float32"
    assert "the precision was bfloat16, is float32" in note
    assert ", is Abacus" in note


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
