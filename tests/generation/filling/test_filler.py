"""Fillings against all fillings there are: of a network that reads both sides, and of others."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ConfigError, GenerationError
from chargen.generation.filling.filler import Filler, Filling
from chargen.generation.seeds import text_seeds
from chargen.network.infiller import Infiller
from chargen.network.model import CharModel
from chargen.ngrams import count, without_singletons
from chargen.options import InfillConfig, ModelConfig

TEXT = "春眠不觉晓，春不晓。\n" * 2
LETTERS = "春眠不觉晓，。"
LINES = ["春□不觉□", "□□，晓", "春眠□", "□𠀀□□。"]
each_line = pytest.mark.parametrize("text", LINES)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(Counter(TEXT), 100, "bytes", end=True)


def with_random_weights(model: Any) -> Any:
    model.reset_parameters(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.5)
    return model


def infiller(tokenizer: Tokenizer, **shape: Any) -> Infiller:
    shape = {"hidden_size": 8, "embedding_size": 5, "tie_weights": True, **shape}
    return with_random_weights(
        Infiller(ModelConfig(tokenizer.size, task="infill", records=True, **shape))
    )


def language_model(tokenizer: Tokenizer, **shape: Any) -> CharModel:
    return with_random_weights(
        CharModel(ModelConfig(tokenizer.size, hidden_size=8, embedding_size=5, **shape))
    )


def options(**given: Any) -> InfillConfig:
    return InfillConfig(**{"beam_size": 4096, "num_samples": 1000, **given})


def all_fillings(text: str) -> list[str]:
    gaps = text.count("□")
    return ["".join(some) for some in product(LETTERS, repeat=gaps)]


def filled_with(text: str, characters: str) -> str:
    for character in characters:
        text = text.replace("□", character, 1)
    return text


def conditional(model: Infiller, tokenizer: Tokenizer, text: str, characters: str) -> float:
    """−log2 p of a filling: each character given all before it and what is known after it."""
    whole = tokenizer.encode(filled_with(text, characters)).tolist()
    marked = [
        place
        for n, character in enumerate(text)
        for place in [n if "𠀀" not in text[:n] else n + 3]
        if character == "□"
    ]
    framed = torch.tensor([tokenizer.newline_id, *whole, tokenizer.end_id])[:, None]
    allowed = tokenizer.encode(LETTERS).tolist()
    bits = 0.0
    for place in marked:
        hidden = torch.zeros(framed.shape, dtype=torch.bool)
        hidden[[other + 1 for other in marked if other > place]] = True
        with torch.no_grad():
            o = model.logits(model(framed, torch.tensor([len(whole)]), hidden))[place, 0]
        share = torch.log_softmax(o[allowed].double(), 0)
        bits -= float(share[allowed.index(whole[place])]) / math.log(2)
    return bits


def joint(model: CharModel, tokenizer: Tokenizer, text: str) -> float:
    """−log p of a whole line with what follows it."""
    after = tokenizer.end_id if model.config.records else tokenizer.newline_id
    ids = [tokenizer.newline_id, *tokenizer.encode(text).tolist(), after]
    with torch.no_grad():
        s, _ = model(torch.tensor(ids[:-1])[:, None], model.initial_state(1))
        p = torch.log_softmax(model.logits(s)[:, 0].double(), 1)
    return -float(p.gather(1, torch.tensor(ids[1:])[:, None]).sum())


def same(found: list[Filling], expected: list[tuple[float, str]]) -> None:
    assert [each.filled for each in found] == [filled for _, filled in expected[: len(found)]]
    assert [each.bits for each in found] == pytest.approx(
        [bits for bits, _ in expected[: len(found)]], abs=1e-4
    )


@each_line
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"cell": "gru", "num_layers": 2},
        {"tie_weights": False, "embedding_size": 0, "cell": "rnn", "bias": False},
        {"cell": "clockwork"},
    ],
    ids=lambda shape: "-".join(map(str, shape.values())),
)
def test_a_full_beam_finds_the_best_of_all_fillings(
    tokenizer: Tokenizer, text: str, shape: dict[str, Any]
) -> None:
    model = infiller(tokenizer, **shape)
    filler = Filler(model, tokenizer)
    expected = sorted(
        (conditional(model, tokenizer, text, some), some) for some in all_fillings(text)
    )
    found = filler.fill(filler.read(text, "□"), options())
    assert len(found) == len(expected)
    assert sum(2**-each.bits for each in found) == pytest.approx(1)
    same(found, expected)
    assert [each.text for each in found] == [filled_with(text, each.filled) for each in found]


@each_line
@pytest.mark.parametrize("records", [True, False])
def test_a_language_model_judges_whole_lines(
    tokenizer: Tokenizer, text: str, records: bool
) -> None:
    model = language_model(tokenizer, records=records)
    filler = Filler(model, tokenizer)
    costs = {some: joint(model, tokenizer, filled_with(text, some)) for some in all_fillings(text)}
    total = np.logaddexp.reduce([-cost for cost in costs.values()])
    expected = sorted(((cost + total) / math.log(2), some) for some, cost in costs.items())
    found = filler.fill(filler.read(text, "□"), options())
    assert len(found) == len(expected)
    same(found, expected)


def test_a_language_model_counts_too(tokenizer: Tokenizer) -> None:
    """With a gate that leaves all to the counts, the beam follows them."""
    ids = tokenizer.encode(TEXT * 3)
    ngram = without_singletons(count(ids, tokenizer.size, 3, tokenizer.newline_id), 3)
    model = language_model(tokenizer, ngram="3")
    assert model.b is not None
    with torch.no_grad():
        model.b.fill_(-15)
    filler = Filler(model, tokenizer, ngram)
    assert filler.fill(filler.read("春眠□觉□，", "□"), InfillConfig())[0].filled == "不晓"


@each_line
def test_a_narrow_beam_is_what_it_keeps(tokenizer: Tokenizer, text: str) -> None:
    model = infiller(tokenizer)
    filler = Filler(model, tokenizer)
    best = filler.fill(filler.read(text, "□"), InfillConfig(beam_size=7, num_samples=7))
    assert best == sorted(best, key=lambda each: each.bits)
    for each in best:
        assert each.bits == pytest.approx(
            conditional(model, tokenizer, text, each.filled), abs=1e-4
        )


def test_what_is_drawn_has_the_networks_probabilities(tokenizer: Tokenizer) -> None:
    model = infiller(tokenizer)
    filler, text, number = Filler(model, tokenizer), "春□不觉□", 1000
    line = filler.read(text, "□")
    drawn = [
        each
        for seed in range(3)
        for each in filler.fill(line, options(temperature=1.0, num_samples=number), seed)
    ]
    seen = Counter(each.filled for each in drawn)
    for each in filler.fill(line, options())[:5]:
        p = 2**-each.bits
        spread = math.sqrt(p * (1 - p) / len(drawn))
        assert seen[each.filled] / len(drawn) == pytest.approx(p, abs=4 * spread)
    for each in drawn[:5]:
        assert each.bits == pytest.approx(
            conditional(model, tokenizer, text, each.filled), abs=1e-4
        )


@pytest.mark.parametrize("kind", [infiller, language_model])
def test_a_drawn_filling_depends_on_its_seed_alone(tokenizer: Tokenizer, kind: Any) -> None:
    filler = Filler(kind(tokenizer), tokenizer)
    line, drawn = filler.read("春□不□晓", "□"), {"temperature": 1.3}
    several = filler.fill(line, options(num_samples=70, **drawn), 5)
    assert len({each.filled for each in several}) > 5
    for seed, each in list(zip(text_seeds(5, 70), several, strict=True))[::23]:
        assert filler.fill(line, options(num_samples=1, **drawn), seed) == [each]
    filler.fill(filler.read("□眠", "□"), options())
    assert filler.fill(line, options(num_samples=70, **drawn), 5) == several


def test_a_low_temperature_draws_the_likeliest(tokenizer: Tokenizer) -> None:
    for model in (infiller(tokenizer), language_model(tokenizer)):
        filler = Filler(model, tokenizer)
        line = filler.read("春□不觉", "□")
        best = filler.fill(line, InfillConfig())[0]
        drawn = filler.fill(line, InfillConfig(temperature=1e-4, num_samples=3), 1)
        assert [each.filled for each in drawn] == [best.filled] * 3


@pytest.mark.parametrize(
    ("text", "mark", "what"),
    [
        ("春眠", "□", "no □"),
        ("", "□", "no □"),
        ("□ □", "□", "nothing but gaps"),
        ("春□，", "，", "is a character of the text"),
        ("春□\n眠□", "□", "has 2 lines"),
        ("春" * 5000 + "□", "□", "5,001 characters, and a line has 4,096"),
    ],
)
def test_what_cant_be_filled_is_refused(
    tokenizer: Tokenizer, text: str, mark: str, what: str
) -> None:
    with pytest.raises(GenerationError, match=what):
        Filler(infiller(tokenizer), tokenizer).read(text, mark)


def test_a_character_that_cant_be_read_is_refused() -> None:
    closed = Tokenizer.train(Counter(TEXT), 100, "unk", end=True)
    filler = Filler(infiller(closed), closed)
    with pytest.raises(GenerationError, match="never seen '猫'") as caught:
        filler.read("猫□", "□")
    assert "Put □ for these characters" in caught.value.remedy
    assert filler.fill(filler.read("春?", "?"), InfillConfig())[0].text[0] == "春"


def test_a_seed_is_in_range(tokenizer: Tokenizer) -> None:
    filler = Filler(infiller(tokenizer), tokenizer)
    with pytest.raises(ConfigError, match="seed"):
        filler.fill(filler.read("春□", "□"), InfillConfig(temperature=1.0), -1)
