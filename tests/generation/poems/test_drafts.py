"""Poems that fail, and are drawn again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.generation import slot_text
from chargen.generation.engine import Engine
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Chunk, Request, Result
from chargen.generation.slot_text import SlotText
from chargen.network.model import CharModel
from chargen.options import SamplingConfig
from tests.generation.conftest import make_model
from tests.generation.poems.check import breaches

# Characters of two tones, and few others: much of what is drawn leads nowhere.
FEW = "长中空重行为还间看教应相数分藏背山江花光霜乡香阳来流多春月水雨老子不一人日石"
FORM = Form("wulv", rhyme=True, tones="strict")


@pytest.fixture(scope="module")
def few() -> Tokenizer:
    return Tokenizer.train(Counter("，。\n" + FEW), 99, "unk")


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the requests whose poems are drawn again."""
    found: list[int] = []
    real = SlotText.begin_again

    def counted(text: SlotText) -> None:
        found.append(text.index)
        real(text)

    monkeypatch.setattr(SlotText, "begin_again", counted)
    return found


def requests(config: SamplingConfig, count: int = 6) -> list[Request]:
    return [Request("", config, seed, FORM) for seed in range(count)]


def texts(engine: Engine, asked: list[Request]) -> list[str]:
    results = sorted(engine.generate(asked), key=lambda result: result.index)
    return [result.text for result in results]


def test_a_poem_that_fails_is_drawn_again(few: Tokenizer, drafts: list[int]) -> None:
    asked = requests(SamplingConfig(), 30)
    found = texts(Engine(make_model(few), few, slots=4), asked)
    assert drafts
    assert [breaches(text, "wulv") for text in found] == [[]] * len(asked)


def test_the_likeliest_poem_that_holds_is_found(few: Tokenizer, drafts: list[int]) -> None:
    greedy, form = SamplingConfig(temperature=0), Form("qilv", rhyme=True, tones="strict")
    model = make_model(few)
    for seed in (4, 5):
        model.reset_parameters(seed)
        (text,) = texts(Engine(model, few), [Request("", greedy, 0, form)])
        assert not breaches(text, "qilv"), text
    assert len(drafts) > 1


def test_a_poem_that_is_drawn_again_depends_on_its_seed_alone(
    few: Tokenizer, drafts: list[int]
) -> None:
    asked, model = requests(SamplingConfig(), 24), make_model(few)
    together = texts(Engine(model, few, slots=5), asked)
    assert len(set(drafts)) > 1
    assert [texts(Engine(model, few, slots=1), [each])[0] for each in asked] == together
    assert texts(Engine(model, few, slots=2), asked[::-1]) == together[::-1]
    streamed = Engine(model, few, slots=3).stream(asked)
    found: dict[int, list[str]] = {}
    for part in streamed:
        if isinstance(part, Chunk):
            found.setdefault(part.index, []).append(part.text)
        else:
            assert found[part.index] == [part.text]  # a poem is shown when it is whole
    assert [found[n][0] for n in range(len(asked))] == together


def test_a_poem_is_a_pattern_of_itself(few: Tokenizer) -> None:
    """Whatever reading a character has in it, be it as rare as that of 不 before a fourth tone."""
    engine = Engine(make_model(few), few)
    for text in texts(engine, requests(SamplingConfig(), 12)):
        form = replace(FORM, pattern=text)
        assert texts(engine, [Request("", SamplingConfig(), 1, form)]) == [text]


def test_a_poem_that_can_not_fail_is_shown_as_it_comes(
    model: CharModel, tokenizer: Tokenizer
) -> None:
    request = Request("", SamplingConfig(), 1, Form("wujue"))
    *chunks, result = Engine(model, tokenizer).stream([request])
    assert isinstance(result, Result)
    assert [part.text for part in chunks if isinstance(part, Chunk)] == list(result.text)


def test_bits_are_those_of_the_last_draft(few: Tokenizer, drafts: list[int]) -> None:
    model = make_model(few)
    (first,) = (
        r
        for r in Engine(model, few, logprobs=True).generate(requests(SamplingConfig()))
        if r.index == 0
    )
    again = texts(Engine(model, few), requests(SamplingConfig(), 1))
    assert again == [first.text]
    assert first.bits_per_char is not None
    assert 0 < first.bits_per_char < 60


def test_a_poem_that_can_not_be_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_text, "_MOST_DRAFTS", 5)
    tokenizer = Tokenizer.train(Counter("，。\n春山江花天云月"), 99, "unk")
    form = Form("wulv", tones="strict")  # one oblique character, but parallel verses need two
    engine = Engine(make_model(tokenizer), tokenizer)
    with pytest.raises(GenerationError, match="The poem with the seed 3 kept its rules in none of"):
        list(engine.generate([Request("", SamplingConfig(), 3, form)]))
