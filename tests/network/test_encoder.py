"""The encoder against torch's own layers, against a loop, and against itself without padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from chargen.network.dropout import Dropout
from chargen.network.encoder import Encoder
from chargen.options import CELLS, ModelConfig
from tests.cells.cases import VALUES

T, B, INPUT, H = 6, 4, 5, 3
LENGTHS = torch.tensor([6, 1, 4, 5])
CASES = [
    {"cell": name, **options}
    for name, row in CELLS.items()
    if not row.wants_output
    for options in ({}, *({key: VALUES[key][0]} for key in row.options))
]
each_case = pytest.mark.parametrize("options", CASES, ids=lambda o: "-".join(map(str, o.values())))
both_ways = pytest.mark.parametrize("bidirectional", [False, True])


def encoder_of(bidirectional: bool, input_size: int = INPUT, **options: Any) -> Encoder:
    """An encoder in double precision with random weights everywhere, biases included."""
    config = ModelConfig(vocab_size=1, hidden_size=H, embedding_size=INPUT, **options)
    encoder = Encoder(config, input_size, bidirectional=bidirectional).double()
    generator = torch.Generator().manual_seed(0)
    encoder.reset_parameters(generator)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return encoder


def texts(width: int = INPUT, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(T, B, width, generator=generator, dtype=torch.float64)


def copy_weights(encoder: Encoder, theirs: nn.RNNBase) -> None:
    with torch.no_grad():
        for n, layer in enumerate(encoder.cells):
            for cell, end in zip(layer, ("", "_reverse"), strict=False):
                getattr(theirs, f"weight_ih_l{n}{end}").copy_(cell.U)
                getattr(theirs, f"weight_hh_l{n}{end}").copy_(cell.W)
                getattr(theirs, f"bias_ih_l{n}{end}").copy_(cell.b)
                bias = getattr(theirs, f"bias_hh_l{n}{end}").zero_()
                if hasattr(cell, "d"):
                    bias[-H:] = cell.d


@both_ways
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_reads_as_torchs_packed_layers_do(
    kind: type[nn.RNNBase], layers: int, bidirectional: bool
) -> None:
    encoder = encoder_of(bidirectional, cell=kind.__name__.lower(), num_layers=layers)
    theirs = kind(INPUT, H, num_layers=layers, bidirectional=bidirectional).double()  # type: ignore[call-arg]
    copy_weights(encoder, theirs)
    x, its = texts().requires_grad_(), texts().requires_grad_()
    packed, end = theirs(pack_padded_sequence(its, LENGTHS, enforce_sorted=False))
    wanted, _ = pad_packed_sequence(packed)
    outputs = encoder(x, LENGTHS)
    torch.testing.assert_close(outputs, wanted, rtol=1e-9, atol=1e-11)
    h = end[0] if kind is nn.LSTM else end
    top = h.unflatten(0, (layers, -1))[-1].transpose(0, 1).flatten(1)
    torch.testing.assert_close(encoder.last(outputs, LENGTHS), top, rtol=1e-9, atol=1e-11)
    ours = torch.autograd.grad(outputs.square().sum(), [x, *encoder.ahead.parameters()])
    (at_x,) = torch.autograd.grad(wanted.square().sum(), its)
    torch.testing.assert_close(ours[0], at_x, rtol=1e-9, atol=1e-11)


@both_ways
@each_case
def test_a_row_alone_is_that_row_in_a_batch(options: dict[str, Any], bidirectional: bool) -> None:
    encoder = encoder_of(bidirectional, num_layers=2, **options)
    x = texts()
    outputs = encoder(x, LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        only = LENGTHS[b : b + 1]
        alone = encoder(x[:length, b : b + 1], only)
        torch.testing.assert_close(alone[:, 0], outputs[:length, b], rtol=1e-9, atol=1e-11)
        assert not outputs[length:, b].any()
        for pool in (encoder.last, encoder.mean):
            torch.testing.assert_close(pool(alone, only)[0], pool(outputs, LENGTHS)[b])
    beyond = torch.arange(T)[:, None] >= LENGTHS
    other = torch.where(beyond[..., None], 99.0, x)
    assert torch.equal(encoder(other, LENGTHS), outputs)


@both_ways
@each_case
def test_every_cell_reads_as_a_loop_does(options: dict[str, Any], bidirectional: bool) -> None:
    encoder = encoder_of(bidirectional, num_layers=2, **options)
    x = texts()
    outputs = encoder(x, LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        row = list(x[:length, b])
        for layer in encoder.cells:
            read = []
            for cell, order in zip(layer, (1, -1), strict=False):
                state, seen = cell.initial_state(1), []
                for x_t in row[::order]:
                    y_t, state = cell.step(cell.project(x_t[None]), state)
                    seen.append(y_t[0])
                read.append(seen[::order])
            row = [torch.cat(halves) for halves in zip(*read, strict=True)]
        torch.testing.assert_close(outputs[:length, b], torch.stack(row), rtol=1e-9, atol=1e-11)
        halves = [row[-1][:H], row[0][H:]]
        torch.testing.assert_close(encoder.last(outputs, LENGTHS)[b], torch.cat(halves))
        torch.testing.assert_close(encoder.mean(outputs, LENGTHS)[b], torch.stack(row).mean(0))


@both_ways
def test_a_one_hot_input_is_looked_up(bidirectional: bool) -> None:
    encoder = encoder_of(bidirectional, input_size=0, cell="gru")
    by_product = encoder_of(bidirectional, cell="gru")
    ours, theirs = encoder.cells[0], by_product.cells[0]
    with torch.no_grad():
        for cell, other in zip(ours, theirs, strict=True):
            for name, parameter in cell.named_parameters():
                parameter.copy_(other.get_parameter(name))
    x = texts()
    table = torch.cat([cell.U for cell in theirs if cell.U is not None])
    assert encoder.inputs == len(table)
    torch.testing.assert_close(encoder(x @ table.T, LENGTHS), by_product(x, LENGTHS))


def test_an_empty_row_is_all_zeros() -> None:
    encoder, lengths = encoder_of(True), torch.tensor([0, 6, 0, 2])
    outputs = encoder(texts(), lengths)
    assert not outputs[:, 0].any()
    for pool in (encoder.last, encoder.mean):
        pooled = pool(outputs, lengths)
        assert not pooled[0].any()
        assert pooled[1].all()


def test_dropout_takes_units_of_a_row_away_at_all_steps() -> None:
    encoder = encoder_of(True, num_layers=2)
    dropout = Dropout(0.5, torch.Generator().manual_seed(1))
    dropped = encoder(texts(), LENGTHS, dropout) == 0
    there = torch.arange(T)[:, None] < LENGTHS
    for b in range(B):
        units = dropped[:, b][there[:, b]]
        assert torch.equal(units, units[:1].expand_as(units))
    assert 0 < int(dropped[0].sum()) < dropped[0].numel()


@both_ways
def test_weights_are_a_function_of_the_generator_and_all_have_a_name(bidirectional: bool) -> None:
    one, other = (encoder_of(bidirectional, num_layers=2) for _ in range(2))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    named = [p for part in one.parts().values() for p in part.values()]
    assert {id(p) for p in named} == {id(p) for p in one.parameters()}
    assert len(one.parts()) == (4 if bidirectional else 2)
