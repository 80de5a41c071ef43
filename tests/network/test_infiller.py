"""The network that reads from both ends, against its cells run by hand, and against itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from chargen.network.dropout import Dropout
from chargen.network.infiller import Infiller
from chargen.options import CELLS, ModelConfig

SIZE, H, N = 11, 6, 5
SHAPES: list[dict[str, Any]] = [
    {"tie_weights": True, "embedding_size": 4},
    {"embedding_size": 4},
    {"embedding_size": 0},
    {"embedding_size": 0, "bias": False, "cell": "rnn"},
    {"tie_weights": True, "embedding_size": 4, "num_layers": 2, "cell": "gru,lstm"},
]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "-".join(map(str, s.values())))


def model_of(**shape: Any) -> Infiller:
    """A network in double precision with random weights everywhere, biases and m included."""
    config = ModelConfig(SIZE, task="infill", records=True, hidden_size=H, **shape)
    model = Infiller(config).double()
    model.reset_parameters(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def framed_of(*texts: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts between the pieces 1 and 2, padded with 0."""
    longest = max(map(len, texts))
    rows = [[1, *text, 2, *[0] * (longest - len(text))] for text in texts]
    return torch.tensor(rows).T, torch.tensor([len(text) for text in texts])


def by_hand(model: Infiller, text: list[int], hidden: set[int], t: int) -> torch.Tensor:
    """The logits of the character at a place, from cells that read up to it from either side."""

    def read(half: Any, rows: torch.Tensor) -> torch.Tensor:
        x = (rows * model.input_scale)[:, None]
        for (cell,) in half.cells:
            x, _ = cell(x, cell.initial_state(1))
        return x[-1, 0]

    one_hot = not model.config.embedding_size
    ahead, back = model.table.chunk(2, 1) if one_hot else (model.table, model.table)
    left = [ahead[1], *(ahead[id_] for id_ in text[:t])]
    right = [
        back[2],
        *(model.m if n in hidden else back[text[n]] for n in range(len(text) - 1, t, -1)),
    ]
    s = torch.cat([read(model.ahead, torch.stack(left)), read(model.back, torch.stack(right))])
    if model.P is not None:
        s, V = model.P @ s, model.table
    else:
        assert model.V is not None
        V = model.V
    return V @ s if model.c is None else V @ s + model.c


@each_shape
def test_it_meets_where_both_directions_have_read_all_the_others(shape: dict[str, Any]) -> None:
    model, text, hidden = model_of(**shape), [5, 3, 9, 4, 7], {2, 3}
    mask = torch.tensor([0, *(n in hidden for n in range(N)), 0], dtype=torch.bool)[:, None]
    o = model.logits(model(*framed_of(text), mask))
    for t in range(N):
        torch.testing.assert_close(o[t, 0], by_hand(model, text, hidden, t))


@pytest.mark.parametrize("cell", [name for name, row in CELLS.items() if not row.wants_output])
@pytest.mark.parametrize("layers", [1, 2])
def test_no_character_is_seen_by_its_own_prediction(cell: str, layers: int) -> None:
    model = model_of(cell=cell, num_layers=layers, embedding_size=4, tie_weights=True)
    text = [5, 3, 9, 4, 7]
    o = model.logits(model(*framed_of(text)))[:, 0]
    for t in range(N):
        other = [*text[:t], 10, *text[t + 1 :]]
        changed = model.logits(model(*framed_of(other)))[:, 0]
        assert torch.equal(changed[t], o[t])
        moved = [not torch.equal(changed[k], o[k]) for k in range(N)]
        assert moved[:t] == [True] * t or cell == "feedforward"
        assert any(moved)


def test_hidden_characters_are_seen_from_the_left_alone() -> None:
    model, text = model_of(**SHAPES[0]), [5, 3, 9, 4, 7]
    mask = torch.tensor([0, 0, 0, 1, 1, 0, 0], dtype=torch.bool)[:, None]
    o = model.logits(model(*framed_of(text), mask))[:, 0]
    other = model.logits(model(*framed_of([5, 3, 10, 8, 7]), mask))[:, 0]
    assert torch.equal(other[:3], o[:3])
    assert not torch.equal(other[3], o[3])
    assert not torch.equal(other[4], o[4])


@each_shape
def test_a_text_is_read_alike_beside_others(shape: dict[str, Any]) -> None:
    model, texts = model_of(**shape), [[5, 3, 9, 4, 7], [6], [8, 8, 3]]
    framed, lengths = framed_of(*texts)
    hidden = torch.zeros(framed.shape, dtype=torch.bool)
    hidden[2, :] = True
    together = model(framed, lengths, hidden)
    for n, text in enumerate(texts):
        alone = model(*framed_of(text), hidden[: len(text) + 2, n : n + 1])
        torch.testing.assert_close(together[: len(text), n], alone[:, 0])
        assert not together[len(text) :, n].any()


@each_shape
def test_the_loss_is_the_mean_over_all_characters(shape: dict[str, Any]) -> None:
    model, texts = model_of(**shape), [[5, 3, 9, 4, 7], [6], [8, 8, 3]]
    framed, lengths = framed_of(*texts)
    inside = (torch.arange(N)[:, None] < lengths).flatten().nonzero()[:, 0]
    costs = [
        F.cross_entropy(by_hand(model, text, set(), t)[None], torch.tensor([text[t]]))
        for text in texts
        for t in range(len(text))
    ]
    loss = model.loss_of_gaps(framed, lengths, inside)
    torch.testing.assert_close(loss, torch.stack(costs).mean())
    s = model(framed, lengths).flatten(0, 1)[inside]
    targets = framed[1:-1].flatten()[inside]
    nats, likeliest = model.score(s, targets)
    torch.testing.assert_close(nats.mean(), loss)
    assert torch.equal(likeliest, model.logits(s).argmax(1) == targets)


def test_every_parameter_has_a_gradient() -> None:
    for shape in SHAPES:
        model = model_of(**shape)
        framed, lengths = framed_of([5, 3, 9, 4, 7], [6, 4])
        hidden = torch.zeros(framed.shape, dtype=torch.bool)
        hidden[3] = True
        inside = (torch.arange(N)[:, None] < lengths).flatten().nonzero()[:, 0]
        model.loss_of_gaps(framed, lengths, inside, hidden).backward()  # type: ignore[no-untyped-call]
        named = {name: p for part in model.parts().values() for name, p in part.items()}
        assert all(p.grad is not None and p.grad.any() for p in named.values())
        assert sum(model.parameters_by_part().values()) == sum(
            p.numel() for p in model.parameters()
        )


def test_dropout_is_a_function_of_its_generator() -> None:
    model = model_of(**SHAPES[0])
    framed, lengths = framed_of([5, 3, 9, 4, 7], [6, 4])

    def read(seed: int) -> torch.Tensor:
        dropped: torch.Tensor = model(
            framed, lengths, None, Dropout(0.5, torch.Generator().manual_seed(seed))
        )
        return dropped

    assert torch.equal(read(0), read(0))
    assert not torch.equal(read(0), read(1))


@each_shape
def test_its_halves_give_its_logits(shape: dict[str, Any]) -> None:
    model = model_of(**shape)
    framed, lengths = framed_of([5, 3, 9, 4, 7])
    half = model.ahead_alone()
    s, _ = half(framed[:-2], half.initial_state(1))
    from_right = F.linear(model.read_back(framed[2:], lengths), model.back_matrix())
    whole = model.logits(model(framed, lengths))
    torch.testing.assert_close(half.logits(s) + from_right, whole)
