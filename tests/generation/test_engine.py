from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.generation.engine import Engine
from chargen.generation.folded import Network
from chargen.generation.loops import kinds_of
from chargen.generation.requests import Chunk, Request, Result
from chargen.generation.sampler import Uniforms
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey
from chargen.options import CELLS, SamplingConfig
from tests.generation.conftest import TEXT, make_counts, make_mixed_model, make_model
from tests.generation.test_loops import naive_penalties

GREEDY = SamplingConfig(length=12, temperature=0)
TIED = {"tie_weights": True, "embedding_size": 8, "hidden_size": 64}
"""The output goes by way of the embedding, and not by the product of both matrices."""


def requests(count: int, seed: int = 0, longest: int = 12) -> list[Request]:
    rng = random.Random(seed)
    return [
        Request(
            prompt="".join(rng.choices(TEXT, k=rng.choice([0, 1, 4, 9]))),
            config=SamplingConfig(
                length=rng.randint(1, longest),
                temperature=rng.choice([0, 0.7, 1.0, 1.5]),
                top_k=rng.choice([0, 0, 5, 300]),
                top_p=rng.choice([1.0, 1.0, 0.9]),
                min_p=rng.choice([0.0, 0.1]),
                repetition_penalty=rng.choice([1.0, 1.3]),
                loop_penalty=rng.choice([0.0, 3.0]),
                loop_length=rng.choice([1, 5]),
                stop=rng.choice([(), ("，",), ("。\n", "了")]),
            ),
            seed=n,
        )
        for n in range(count)
    ]


def texts(engine: Engine, wanted: list[Request]) -> list[Result]:
    return sorted(engine.generate(wanted), key=lambda result: result.index)


def plain_text(
    model: CharModel, tokenizer: Tokenizer, request: Request, ngram: KneserNey | None = None
) -> tuple[str, float]:
    """One text by the model's own forward in double precision; and its bits per character."""
    model = make_copy(model).double()
    ids = [tokenizer.newline_id, *tokenizer.encode(request.prompt).tolist()]
    state, drawn, bits = model.initial_state(1), [], 0.0
    uniforms = iter(Uniforms(request.seed).next(1000).tolist())
    kinds = kinds_of(tokenizer)
    allowed = torch.from_numpy(~tokenizer.never_sampled & (tokenizer.byte_values < 0))
    with torch.no_grad():
        s, state = model(torch.tensor(ids)[:, None], state)
        while len(drawn) < request.config.length:
            o = model.logits(s[-1, 0])
            if ngram is not None:
                read = ngram.initial_state(1)
                for id_ in [*ids, *drawn]:
                    read = ngram.advance(read, np.array([id_]))
                counted, g = torch.from_numpy(ngram.row(read)[0]), model.gate(s[-1])[0]
                o = torch.log(g * torch.softmax(o, 0) + (1 - g) * counted)
            masked = o.masked_fill(~allowed, -torch.inf)
            for id_, nats in naive_penalties([*ids, *drawn], request.config, kinds).items():
                masked[id_] -= nats
            u = next(uniforms)
            if request.config.temperature == 0:
                id_ = int(masked.argmax())
            else:
                p = torch.softmax(masked / request.config.temperature, 0)
                id_ = int(torch.searchsorted(p.cumsum(0), u, right=True))
            bits -= float(torch.log_softmax(o, 0)[id_]) / float(torch.log(torch.tensor(2.0)))
            drawn.append(id_)
            s, state = model(torch.tensor([[id_]]), state)
    return tokenizer.decode(drawn), bits / len(drawn)


@pytest.mark.parametrize("shape", [{"hidden_size": 24}, TIED])
def test_a_text_with_counts_is_what_the_mixture_says(
    unk_tokenizer: Tokenizer, shape: dict[str, Any]
) -> None:
    model, ngram = make_mixed_model(unk_tokenizer, **shape), make_counts(unk_tokenizer)
    wanted = [
        Request("", SamplingConfig(length=20, temperature=0), 0),
        Request("春江", SamplingConfig(length=20, temperature=0.7), 1),
        Request("早春\n残雪", SamplingConfig(length=20, temperature=1.0), 2),
        Request("春江", SamplingConfig(length=20, temperature=1.0), 3),  # a cached prompt
    ]
    engine = Engine(model, unk_tokenizer, ngram, slots=2, logprobs=True)
    for request, result in zip(wanted, texts(engine, wanted), strict=True):
        text, bits = plain_text(model, unk_tokenizer, request, ngram)
        assert result.text == text
        assert result.bits_per_char == pytest.approx(bits, rel=1e-4)
        assert text != plain_text(model, unk_tokenizer, request)[0]


def test_without_counts_a_model_with_a_gate_writes_what_its_network_says(
    unk_tokenizer: Tokenizer,
) -> None:
    model = make_mixed_model(unk_tokenizer, hidden_size=24)
    request = Request("春江", SamplingConfig(length=12, temperature=0.7), 1)
    (result,) = texts(Engine(model, unk_tokenizer), [request])
    assert result.text == plain_text(model, unk_tokenizer, request)[0]


def make_copy(model: CharModel) -> CharModel:
    copy = CharModel(model.config)
    copy.load_state_dict(model.state_dict())
    return copy


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_text_is_what_the_model_says(unk_tokenizer: Tokenizer, cell: str, layers: int) -> None:
    model = make_model(unk_tokenizer, cell=cell, num_layers=layers, hidden_size=24)
    wanted = [
        Request("", GREEDY, 0),
        Request("春江", SamplingConfig(length=12, temperature=0.7), 1),
        Request("早春\n残雪", SamplingConfig(length=12, temperature=1.0), 2),
    ]
    engine = Engine(model, unk_tokenizer, slots=2, logprobs=True)
    for request, result in zip(wanted, texts(engine, wanted), strict=True):
        want, bits = plain_text(model, unk_tokenizer, request)
        assert result.text == want
        assert result.bits_per_char == pytest.approx(bits, abs=1e-4)


@pytest.mark.parametrize(
    "shape", [{"embedding_size": 0}, {"bias": False}, {"hidden_size": 33}, TIED]
)
def test_any_shape_of_model_generates(unk_tokenizer: Tokenizer, shape: dict[str, Any]) -> None:
    model = make_model(unk_tokenizer, **shape)
    request = Request("春", GREEDY, 0)
    assert (
        texts(Engine(model, unk_tokenizer), [request])[0].text
        == (plain_text(model, unk_tokenizer, request)[0])
    )


def test_the_output_goes_by_way_of_the_embedding_where_that_is_less_work(
    tokenizer: Tokenizer,
) -> None:
    for shape, products in ((TIED, 2), ({**TIED, "embedding_size": 64}, 1)):
        model, ngram = make_mixed_model(tokenizer, **shape), make_counts(tokenizer)
        output = Engine(model, tokenizer, ngram).network.output
        assert (2 if isinstance(output, tuple) else 1) == products


def test_streamed_and_collected_texts_are_the_same(model: CharModel, tokenizer: Tokenizer) -> None:
    wanted = requests(40)
    engine = Engine(model, tokenizer, slots=7, logprobs=True)
    collected = texts(engine, wanted)
    streamed: dict[int, str] = {}
    for part in engine.stream(wanted):
        if isinstance(part, Chunk):
            assert part.text
            streamed[part.index] = streamed.get(part.index, "") + part.text
        else:
            assert streamed.get(part.index, "") == part.text
            assert part == collected[part.index]
            assert part.characters == len(part.text)


def test_requests_are_taken_as_slots_become_free(model: CharModel, tokenizer: Tokenizer) -> None:
    taken = 0

    def endless() -> Iterator[Request]:
        nonlocal taken
        while True:
            taken += 1
            yield Request("", SamplingConfig(length=5), taken)

    results = Engine(model, tokenizer, slots=3).generate(endless())
    for n in range(1, 10):
        next(results)
        assert taken <= n + 3


def test_a_pause_in_the_requests_is_waited_out(model: CharModel, tokenizer: Tokenizer) -> None:
    first, second = Request("", GREEDY, 0), Request("春", GREEDY, 1)
    engine = Engine(model, tokenizer, slots=2)
    assert len(list(engine.generate([first, None, None, second]))) == 2


def test_a_prompt_seen_before_gives_the_same_text(model: CharModel, tokenizer: Tokenizer) -> None:
    request = Request("一片桃花过，", SamplingConfig(length=20), 3)
    engine = Engine(model, tokenizer, slots=2)
    first = texts(engine, [request])
    assert texts(engine, [request, request])[1] == replace(first[0], index=1)
    assert texts(Engine(model, tokenizer), [request]) == first


def test_no_logits_are_made_for_rows_that_read(
    model: CharModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows_of_logits(wanted: list[Request]) -> int:
        engine = Engine(model, tokenizer, slots=8)
        logits, rows = engine.network.output, 0

        def counted(s: Tensor) -> Tensor:
            nonlocal rows
            rows += len(s)
            return logits(s)

        monkeypatch.setattr(engine.network, "output", counted)
        monkeypatch.setattr(engine.network, "tile", 1)
        texts(engine, wanted)
        return rows

    wanted = [Request(p, SamplingConfig(length=7), 1) for p in ("", "一片桃花过，" * 5, "了" * 20)]
    assert rows_of_logits(wanted) == sum(rows_of_logits([request]) for request in wanted)


def test_nothing_of_the_caller_is_touched(model: CharModel, tokenizer: Tokenizer) -> None:
    torch.manual_seed(1)
    want = torch.rand(3)
    torch.manual_seed(1)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stream = Engine(model, tokenizer, slots=2).stream(requests(3))
    next(stream)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    list(stream)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.rand(3), want)


def test_bytes_are_drawn_as_whole_characters(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer, sharpness=1.0)
    with torch.no_grad():
        assert model.c is not None
        model.c[torch.from_numpy(tokenizer.byte_values >= 0x80)] = 9.0
    wanted = [Request("", SamplingConfig(length=20, temperature=1.0), n) for n in range(30)]
    results = texts(Engine(model, tokenizer, slots=8), wanted)
    assert all(result.characters == 20 and "\ufffd" not in result.text for result in results)
    assert all(result.text.encode().decode() == result.text for result in results)
    assert len({len(c.encode()) for result in results for c in result.text}) >= 3


def test_unseen_characters_are_an_error_or_skipped(
    unk_model: CharModel, unk_tokenizer: Tokenizer, model: CharModel, tokenizer: Tokenizer
) -> None:
    request = Request("☃春🦊", GREEDY, 0)
    with pytest.raises(GenerationError, match="'☃', '🦊'") as error:
        texts(Engine(unk_model, unk_tokenizer), [request])
    assert "`oov_prompt=skip`" in error.value.remedy
    skipping = Engine(unk_model, unk_tokenizer, oov_prompt="skip")
    assert texts(skipping, [request]) == texts(skipping, [replace(request, prompt="春")])
    assert texts(Engine(model, tokenizer), [request])[0].characters == 12


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_an_error(model: CharModel, tokenizer: Tokenizer, seed: int) -> None:
    with pytest.raises(GenerationError, match="out of range"):
        Engine(model, tokenizer).check(Request("", GREEDY, seed))


def test_bad_settings_of_the_engine_are_errors(model: CharModel, tokenizer: Tokenizer) -> None:
    with pytest.raises(GenerationError, match="slots"):
        Engine(model, tokenizer, slots=0)
    with pytest.raises(GenerationError, match="oov_prompt"):
        Engine(model, tokenizer, oov_prompt="drop")


def test_an_empty_text_has_no_bits(model: CharModel, tokenizer: Tokenizer) -> None:
    engine = Engine(model, tokenizer, logprobs=True)
    (result,) = engine.generate([Request("春", replace(GREEDY, length=0), 0)])
    assert result == Result(0, "", "length", 0, 0, None)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_agrees_with_the_cell(unk_tokenizer: Tokenizer, cell: str) -> None:
    model = make_model(unk_tokenizer, cell=cell, num_layers=2, hidden_size=20)
    ids = torch.randint(unk_tokenizer.size, (9, 16), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        network = Network(model)
        rows = network.rows(16)
        s, _ = model(ids, model.initial_state(16))
        want = model.logits(s)
        for t in range(len(ids)):
            got = rows.scores(rows.step(ids[t].numpy()), 16)
            torch.testing.assert_close(got[:, : unk_tokenizer.size], want[t], rtol=1e-4, atol=1e-4)
            assert torch.isneginf(got[:, unk_tokenizer.size :]).all()
