from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.network.seq2seq import Seq2Seq
from chargen.options import CELLS
from tests.pairs import answering

PIECES = 7
SHAPES: list[dict[str, Any]] = [
    {"attention": "none"},
    {"attention": "dot", "bidirectional": True},
    {"attention": "additive", "tie_weights": True, "bidirectional": True},
    {"attention": "dot", "num_layers": 2, "bidirectional": True},
    {"attention": "dot", "embedding_size": 0, "bidirectional": True},
]
PLAIN = [name for name, entry in CELLS.items() if not entry.wants_output]


def lstm(cell: Any, u: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = (u + cell.W @ h).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def project(cell: Any, x: Tensor) -> Tensor:
    return (x if cell.U is None else cell.U @ x) + cell.b


def read(model: Seq2Seq, source: list[int]) -> tuple[list[Tensor], Tensor]:
    """The outputs of the encoder and the code, one step after another."""
    encoder, scale = model.encoder, model.decoder.input_scale
    table = model.table * scale if model.E is None else model.E
    inputs = [[table[n] for n in source]] * 2
    if model.E is not None:
        inputs = [[x.chunk(len(encoder.cells[0]))[d] for x in inputs[0]] for d in range(2)]
    for layer in encoder.cells:
        halves = []
        for d, cell in enumerate(layer):
            h = c = torch.zeros(encoder.hidden_size).double()
            outputs = [h] * len(source)
            for t in reversed(range(len(source))) if d else range(len(source)):
                h, c = lstm(cell, project(cell, inputs[d][t]), h, c)
                outputs[t] = h
            halves.append(outputs)
        inputs = [[torch.cat(parts) for parts in zip(*halves, strict=True)]] * 2
    outputs = inputs[0]
    H = encoder.hidden_size
    return outputs, torch.cat([outputs[-1][:H], outputs[0][H:]])


def by_hand(model: Seq2Seq, source: list[int], ids: list[int]) -> list[Tensor]:
    """s̃ after each piece, one step after another."""
    outputs, v = read(model, source)
    memory = outputs
    if model.E is None:
        memory = [torch.cat([m, model.table[n]]) for m, n in zip(outputs, source, strict=True)]
    decoder, starts = model.decoder, iter(model.starts)
    state = [[torch.tanh(next(starts) @ v) for _ in range(2)] for _ in decoder.cells]
    found = []
    for t, n in enumerate(ids):
        assert decoder.R is not None
        x = decoder.table[n] * decoder.input_scale + decoder.R @ v
        for k, cell in enumerate(decoder.cells):
            state[k] = list(lstm(cell, project(cell, x), *state[k]))
            x = state[k][0]
        if (look := model.attention) is not None:
            e = []
            for i, m in enumerate(memory):
                bias = look.d[max(-16, min(16, i - t)) + 16]
                if look.a is None:
                    e.append(x @ look.W @ m + bias)
                else:
                    e.append(look.a @ torch.tanh(look.W @ x + look.U @ m) + bias)
            a = torch.softmax(torch.stack(e), 0)
            c = sum((w * m for w, m in zip(a, memory, strict=True)), torch.zeros(1).double())
            x = torch.tanh(look.W_c @ torch.cat([c, x]))
        found.append(x)
    return found


def tensors(texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(text) for text in texts])
    rows = [F.pad(torch.tensor(text), [0, int(lengths.max()) - len(text)]) for text in texts]
    return torch.stack(rows, dim=1), lengths


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_computes_what_the_equations_say(shape: dict[str, Any]) -> None:
    model = answering(PIECES, double=True, **shape)
    texts, answers = [[3, 1, 4, 1], [5, 2]], [[0, 6, 2], [0, 3, 5, 5, 1]]
    source, lengths = tensors(texts)
    ids, long = tensors(answers)
    s = model.decode(ids, model.encode(source, lengths))
    for b, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        expected = torch.stack(by_hand(model, text, answer))
        torch.testing.assert_close(s[: int(long[b]), b], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_loss_is_that_of_the_answers_pieces_alone(shape: dict[str, Any]) -> None:
    model = answering(PIECES, double=True, **shape)
    text, answer = [3, 1, 4, 2], [6, 2, 5]
    s = torch.stack(by_hand(model, text, [0, *answer[:-1]]))
    expected = F.cross_entropy(model.decoder.logits(s), torch.tensor(answer))
    source, lengths = tensors([text, [1]])
    ids, _ = tensors([[0, *answer[:-1]], [0]])
    targets, long = tensors([answer, [2]])
    rest = -torch.log_softmax(model.decoder.logits(torch.stack(by_hand(model, [1], [0]))), dim=1)[
        0, 2
    ]
    within = (torch.arange(3)[:, None] < long).flatten().nonzero().squeeze(1)
    loss = model.loss_of_answers(source, lengths, ids, targets, within)
    torch.testing.assert_close(loss, (3 * expected + rest) / 4, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_the_gradient_of_every_parameter_is_right(shape: dict[str, Any]) -> None:
    model = answering(4, double=True, **{**shape, "hidden_size": 2, "embedding_size": 2})
    source, lengths = tensors([[3, 1], [2]])
    ids, _ = tensors([[0, 2], [0, 1]])
    targets, _ = tensors([[2, 1], [1, 3]])
    names = [name for name, _ in model.named_parameters()]

    def loss(*values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        call = (source, lengths, ids, targets)
        found: Tensor = torch.func.functional_call(model, given, (*call, None))
        return found

    model.forward = model.loss_of_answers  # type: ignore[method-assign,assignment]
    values = tuple(p.detach().requires_grad_() for p in model.parameters())
    assert torch.autograd.gradcheck(loss, values)


@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("attention", ["none", "dot", "additive"])
def test_padding_and_neighbours_change_nothing(cell: str, attention: str) -> None:
    shape = {"cell": cell, "attention": attention, "hidden_size": 8, "bidirectional": True}
    model = answering(PIECES, double=True, **shape)
    texts, answers = [[3, 1, 4, 1, 5], [2], [6, 2]], [[0], [0, 5, 1, 2], [0, 3]]
    source, lengths = tensors(texts)
    ids, long = tensors(answers)
    together = model.decode(ids, model.encode(source, lengths))
    for b in range(3):
        alone = model.decode(
            ids[: int(long[b]), b : b + 1],
            model.encode(source[: int(lengths[b]), b : b + 1], lengths[b : b + 1]),
        )
        torch.testing.assert_close(together[: int(long[b]), b], alone[:, 0], rtol=1e-9, atol=1e-12)


def test_attention_looks_everywhere_and_nowhere_else() -> None:
    model = answering(PIECES, double=True)
    source, lengths = tensors([[3, 1, 4], [2]])
    looks = model.looks(tensors([[0, 2], [0, 1]])[0], model.encode(source, lengths))
    assert looks.shape == (2, 2, 3)
    torch.testing.assert_close(looks.sum(2), torch.ones(2, 2).double())
    assert (looks[:, 1, 1:] == 0).all()


def test_both_directions_share_the_units() -> None:
    one, both = (answering(PIECES, hidden_size=6, bidirectional=b) for b in (False, True))
    assert one.encoder.outputs == both.encoder.outputs == 6
    assert answering(PIECES, hidden_size=5, bidirectional=True).encoder.outputs == 6


def test_the_parts_are_all_there_is() -> None:
    for shape in SHAPES:
        model = answering(PIECES, **shape)
        total = sum(p.numel() for p in model.parameters())
        assert sum(model.parameters_by_part().values()) == total
