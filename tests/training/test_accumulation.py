"""A window in parts is the window as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from chargen.machine.team import Team
from chargen.network.dropout import Dropout
from chargen.options import CELLS
from chargen.runs.folder import RunFolder
from chargen.training.accumulation import accumulate_gradient
from chargen.training.lessons import Passage, Share, Texts
from tests.support import small_model, train_tiny

T, B = 6, 7


def a_step(model: Any, parts: int, dropout: Dropout | None) -> tuple[Any, Any, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(11, (T + 1, B), generator=generator)
    first = torch.randint(11, (T, B), generator=generator)
    with torch.no_grad():
        _, state = model(first, model.initial_state(B))
    model.zero_grad(set_to_none=True)
    counted = torch.rand(T, B, generator=generator) if model.config.ngram_order else None
    loss, after = accumulate_gradient(
        model, Passage(ids[:-1], ids[1:], state, counted), dropout, parts
    )
    return loss, after, [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("parts", [2, 3, 100])
def test_loss_gradient_and_state_are_those_of_the_whole_batch(cell: str, parts: int) -> None:
    model = small_model(cell=cell, num_layers=1)
    whole, split = a_step(model, 1, None), a_step(model, parts, None)
    torch.testing.assert_close(split, whole, rtol=1e-12, atol=1e-13)


def test_counts_go_with_their_lanes() -> None:
    model = small_model(ngram="2")
    whole, split = a_step(model, 1, None), a_step(model, 3, None)
    torch.testing.assert_close(split, whole, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("parts", [2, 3])
def test_masks_of_dropout_are_those_of_the_whole_batch(parts: int) -> None:
    model = small_model(num_layers=2)
    results, left = [], []
    for n in (1, parts):
        generator = torch.Generator().manual_seed(2)
        results.append(a_step(model, n, Dropout(0.4, generator)))
        left.append(generator.get_state())
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-13)
    assert torch.equal(*left)
    without = a_step(model, 1, None)
    assert not torch.isclose(without[0], results[0][0])


def test_the_whole_batch_at_once_is_plain_backpropagation() -> None:
    model = small_model()
    loss, _, gradient = a_step(model, 1, None)
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(11, (T + 1, B), generator=generator)
    first = torch.randint(11, (T, B), generator=generator)
    _, state = model(first, model.initial_state(B))
    model.zero_grad(set_to_none=True)
    plain, _ = model.loss(
        ids[:-1], ids[1:], tuple(tuple(t.detach() for t in layer) for layer in state)
    )
    plain.backward()
    assert torch.equal(loss, plain.detach())
    assert all(torch.equal(a, p.grad) for a, p in zip(gradient, model.parameters(), strict=True))


def test_a_run_in_parts_is_the_run_up_to_rounding(corpus: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dropout": 0.3, "max_steps": 8, "eval_every": 4}
    plain = train_tiny(corpus, tmp_path / "plain", **options)
    split = train_tiny(corpus, tmp_path / "split", gradient_accumulation_steps=3, **options)
    assert split.bits_per_char == pytest.approx(plain.bits_per_char, rel=1e-4)
    assert RunFolder(split.path).read_config().training.gradient_accumulation_steps == 3


def test_the_number_of_parts_may_change_when_a_run_goes_on(corpus: Path, tmp_path: Path) -> None:
    train_tiny(corpus, tmp_path, max_steps=3)
    train_tiny(corpus, tmp_path, max_steps=6, resume=True, gradient_accumulation_steps=2)
    config = RunFolder(tmp_path / "run").read_config()
    assert config.training.gradient_accumulation_steps == 2


class Member(Team):
    """One of some processes, as far as it takes its share."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


@pytest.mark.parametrize("size", [2, 3, 10])
@pytest.mark.parametrize("parts", [1, 2])
def test_the_shares_of_processes_add_up_to_the_whole_batch(size: int, parts: int) -> None:
    model = small_model(num_layers=2)
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(11, (T + 1, B), generator=generator)
    lengths = torch.tensor([T, 1, 4, 2, T, 5, 3])
    texts = Texts(ids[:-1], ids[1:], lengths)
    results, left = [], set()
    for members in ([Member(0, 1)], [Member(rank, size) for rank in range(size)]):
        model.zero_grad(set_to_none=True)
        total = torch.zeros((), dtype=torch.double)
        for member in members:  # each gradient is added to those of the others
            dropout = Dropout(0.4, torch.Generator().manual_seed(2))
            loss, _ = accumulate_gradient(model, Share.of(texts, member), dropout, parts)
            total += loss
            left.add(bytes(dropout.generator.get_state().numpy()))
        results.append((total, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-13)
    assert len(left) == 1
