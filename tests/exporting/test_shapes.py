"""Networks that answer or fill gaps, in ONNX: what the models say themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from chargen.exporting.filling import graph_of_gaps
from chargen.exporting.onnx_file import graph_of_step
from chargen.exporting.reading import graph_of_reading
from chargen.exporting.step import traced_answer
from chargen.network.infiller import Infiller
from chargen.network.seq2seq import Seq2Seq
from chargen.options import CELLS, ModelConfig
from tests.exporting.test_step import session_of
from tests.pairs import answering

SIZE, STEPS, NEWLINE, END = 9, 200, 1, 2
CELLS_THAT_READ = [name for name, entry in CELLS.items() if not entry.wants_output]
READING: list[dict[str, Any]] = [
    *({"cell": name, "bidirectional": True} for name in CELLS_THAT_READ),
    {"attention": "none", "num_layers": 2},
    {"attention": "none", "bidirectional": True, "embedding_size": 0, "ngram": "3"},
    {"attention": "additive", "bidirectional": True, "num_layers": 2, "tie_weights": True},
    {"attention": "dot", "embedding_size": 0, "cell": "gru", "bias": False},
]


def noisy(model: Any) -> Any:
    generator = torch.Generator().manual_seed(1)
    model.reset_parameters(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def texts(rows: int, longest: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts of several lengths (S, B), padded, and their lengths."""
    generator = torch.Generator().manual_seed(rows)
    lengths = torch.randint(1, longest + 1, (rows,), generator=generator)
    lengths[0] = longest
    return torch.randint(SIZE, (longest, rows), generator=generator), lengths


def answered(model: Seq2Seq, ids: Any, lengths: Any, read: Any) -> list[dict[str, np.ndarray]]:
    """The outputs after each of the pieces ``read`` (T, B)."""
    encoder = session_of(graph_of_reading(model).to_bytes("encoder", {}))
    decoder = session_of(graph_of_step(traced_answer(model)).to_bytes("decoder", {}))
    names = [each.name for each in encoder.get_outputs()]
    found = encoder.run(None, {"ids": ids.T.numpy(), "lengths": lengths.numpy()})
    feed, steps = dict(zip(names, found, strict=True)), []
    assert set(feed) | {"ids"} == {each.name for each in decoder.get_inputs()}
    names = [each.name for each in decoder.get_outputs()]
    for row in read:
        steps.append(dict(zip(names, decoder.run(None, feed | {"ids": row.numpy()}), strict=True)))
        feed |= {f"state{n[4:]}": x for n, x in steps[-1].items() if n.startswith("next")}
    return steps


@pytest.mark.parametrize("options", READING, ids=lambda o: "-".join(map(str, o.values())))
def test_an_encoder_and_a_decoder_answer_as_the_model_does(options: dict[str, Any]) -> None:
    model = answering(SIZE, **options)
    for rows in (1, 4):
        ids, lengths = texts(rows)
        read = torch.randint(SIZE, (STEPS, rows), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            s = model.decode(read, model.encode(ids, lengths))
            logits = model.decoder.logits(s)
            gates = (
                model.gate(s.flatten(0, 1)).view(STEPS, rows, 1)
                if model.decoder.b is not None
                else s
            )
        for t, found in enumerate(answered(model, ids, lengths, read)):
            np.testing.assert_allclose(found["logits"], logits[t], atol=5e-5)
            if "gate" in found:
                np.testing.assert_allclose(found["gate"], gates[t], atol=1e-5)
    assert ("gate" in found) == ("ngram" in options)


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "clockwork"},
        {"num_layers": 2, "tie_weights": True},
        {"embedding_size": 0, "bias": False},
    ],
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_gaps_have_the_model_s_distributions(options: dict[str, Any]) -> None:
    shape = {"hidden_size": 6, "embedding_size": 4, **options}
    model = noisy(Infiller(ModelConfig(SIZE, task="infill", records=True, **shape)))
    session = session_of(graph_of_gaps(model, NEWLINE, END).to_bytes("model", {}))
    for rows in (1, 4):
        ids, lengths = texts(rows)
        gaps = torch.rand(ids.shape, generator=torch.Generator().manual_seed(0)) < 0.3
        framed = torch.cat([torch.full((1, rows), NEWLINE), ids, torch.zeros(1, rows)]).long()
        framed[lengths + 1, torch.arange(rows)] = END
        edge = torch.zeros(1, rows, dtype=torch.bool)
        hidden = torch.cat([edge, gaps, edge])
        hidden[lengths + 1, torch.arange(rows)] = False
        with torch.no_grad():
            expected = model.logits(model(framed, lengths, hidden))
        feed = {"ids": ids.T.numpy(), "gaps": gaps.T.numpy(), "lengths": lengths.numpy()}
        (found,) = session.run(None, feed)
        for row, length in enumerate(lengths.tolist()):
            np.testing.assert_allclose(found[row, :length], expected[:length, row], atol=5e-5)
