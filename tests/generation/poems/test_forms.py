from __future__ import annotations

import builtins
import re
from collections import Counter
from math import isfinite

import pytest
import torch
from pypinyin import Style, pinyin

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError, MissingExtraError
from chargen.generation.engine import Engine
from chargen.generation.poems.forms import FORMS, Form
from chargen.generation.poems.pronunciation import Reading, readings
from chargen.generation.requests import Request
from chargen.network.model import CharModel
from chargen.options import SamplingConfig
from tests.generation.conftest import TEXT, make_counts, make_mixed_model, make_model

WILD = SamplingConfig(temperature=2.0, length=7)

# The whole patterns of the handbook, for verses of seven; those of five lack the first two places.
PATTERNS_OF_SEVEN = (
    "中平中仄平平仄 中仄平平仄仄平 中仄中平平仄仄 中平中仄仄平平",
    "中仄中平平仄仄 中平中仄仄平平 中平中仄平平仄 中仄平平仄仄平",
)
# 孤平拗救: 仄平平仄平 may stand for 平平仄仄平.
RESCUED = {"平平仄仄平": "仄平平仄平"}


def tones_of(character: str) -> set[str]:
    marks = pinyin(character, style=Style.TONE3, heteronym=True)[0]
    kinds = {"1": "平", "2": "平", "3": "仄", "4": "仄"}
    return {kinds[mark[-1]] for mark in marks if mark[-1] in kinds}


def finals_of(character: str) -> set[str]:
    """The finals without their medials, and the buzzing i apart."""
    found = set()
    heads = pinyin(character, style=Style.INITIALS, heteronym=True, strict=True)[0]
    for head in heads:
        for final in pinyin(character, style=Style.FINALS, heteronym=True, strict=True)[0]:
            buzzing = final == "i" and head in ("zh", "ch", "sh", "r", "z", "c", "s")
            found.add("-i" if buzzing else final)
    return found


THIRTEEN = {
    "a ia ua": "发花", "o e uo": "梭波", "ie ve": "乜斜", "u": "姑苏", "i v -i er": "一七",
    "ai uai": "怀来", "ei uei": "灰堆", "ao iao": "遥条", "ou iou": "由求",
    "an ian uan van": "言前", "en in uen vn": "人辰", "ang iang uang": "江阳",
    "eng ing ong iong ueng": "中东",
}  # fmt: skip


def rhymes_of(character: str) -> set[str]:
    table = {final: name for finals, name in THIRTEEN.items() for final in finals.split()}
    return {table[final] for final in finals_of(character) if final in table}


def fits(verse: str, pattern: str) -> bool:
    return all(
        mark == "中" or mark in tones_of(character)
        for character, mark in zip(verse, pattern, strict=True)
    )


def breaches(text: str, form: Form, shape: tuple[int, int]) -> list[str]:
    """What a finished poem breaks of what was asked for."""
    count, width = shape
    found = []
    verses = re.split("[，。\n]+", text.rstrip("。\n"))
    if [len(verse) for verse in verses] != [width] * count:
        found.append(f"shape {verses}")
    if not re.fullmatch(r"[\u3400-\u9fff，。\n]+", text):
        found.append("characters")
    for n, character in enumerate(form.acrostic):
        if verses[n][0] != character:
            found.append(f"acrostic {n}")
    if form.rhyme:
        first = rhymes_of(verses[1][-1])
        found += [f"rhyme {v}" for v in verses[3::2] if not first & rhymes_of(v[-1])]
    if form.tones:
        found += [] if any(keeps(verses, p.split()) for p in PATTERNS_OF_SEVEN) else ["tones"]
    return found


def keeps(verses: list[str], pattern: list[str]) -> bool:
    for n, verse in enumerate(verses):
        line = pattern[n % 4][7 - len(verse) :]
        if not fits(verse, line) and not fits(verse, RESCUED.get(line, line)):
            return False
    return True


def poem(model: CharModel, tokenizer: Tokenizer, form: Form, prompt: str = "") -> list[str]:
    engine = Engine(model, tokenizer, slots=4)
    wanted = [Request(prompt, WILD, seed, form) for seed in range(6)]
    results = sorted(engine.generate(wanted), key=lambda result: result.index)
    assert all(result.finish_reason == "form" for result in results)
    assert all(result.characters == len(result.text) for result in results)
    return [result.text for result in results]


@pytest.mark.parametrize("oov", ["bytes", "unk"])
@pytest.mark.parametrize(
    ("name", "shape"), [("wujue", (4, 5)), ("qijue", (4, 7)), ("wulv", (8, 5)), ("qilv", (8, 7))]
)
@pytest.mark.parametrize("rules", ["", "rhyme", "tones", "rhyme tones"])
@pytest.mark.parametrize("acrostic", ["", "春江花月"])
def test_no_poem_breaks_the_rule_asked_for(
    request: pytest.FixtureRequest,
    oov: str,
    name: str,
    shape: tuple[int, int],
    rules: str,
    acrostic: str,
) -> None:
    prefix = "" if oov == "bytes" else "unk_"
    model, tokenizer = (request.getfixturevalue(prefix + part) for part in ("model", "tokenizer"))
    form = Form(
        name, acrostic, rhyme="rhyme" in rules, tones="strict" if "tones" in rules else "none"
    )
    for text in poem(model, tokenizer, form):
        assert not breaches(text, form, shape), text
        assert re.fullmatch(r"(?:[^，。\n]+，[^，。\n]+。\n?)+", text)
        assert text.endswith("。")


@pytest.mark.parametrize("config", [WILD, SamplingConfig(), SamplingConfig(temperature=0)])
def test_no_poem_of_a_mixture_breaks_the_rule(tokenizer: Tokenizer, config: SamplingConfig) -> None:
    model = make_mixed_model(tokenizer)
    assert model.b is not None
    form = Form("qijue", "春江花月", rhyme=True, tones="strict")
    for gate in (-40.0, 0.0, 40.0):  # nearly nothing is left of one of the two
        with torch.no_grad():
            model.b.fill_(gate)
        engine = Engine(model, tokenizer, make_counts(tokenizer), slots=3, logprobs=True)
        for result in engine.generate([Request("", config, seed, form) for seed in range(3)]):
            assert not breaches(result.text, form, (4, 7)), result.text
            assert result.bits_per_char is not None
            assert isfinite(result.bits_per_char)


def test_lines_are_as_many_and_as_long_as_asked(model: CharModel, tokenizer: Tokenizer) -> None:
    form = Form("lines", acrostic="山水", lines=5, characters=3, rhyme=True)
    for text in poem(model, tokenizer, form, "题"):
        assert not breaches(text, form, (5, 3))
        assert text.count("\n") == 4


@pytest.mark.parametrize(
    ("prompt", "end"), [("白日依山尽", "。"), ("春\n白日依山尽，", "。"), ("白日依山尽\n", "")]
)
def test_a_couplet_answers_the_last_line(
    model: CharModel, tokenizer: Tokenizer, prompt: str, end: str
) -> None:
    for text in poem(model, tokenizer, Form("couplet", tones="strict"), prompt):
        assert re.fullmatch(rf"[\u4e00-\u9fff]{{5}}{end}", text)
        assert [tones_of(text[n]) & {t} for n, t in ((1, "平"), (3, "仄"))] == [{"平"}, {"仄"}]
        assert "平" in tones_of(text[4])


def test_a_likely_mark_or_line_end_does_not_come_early(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer)
    assert model.c is not None
    model.c.data[tokenizer.encode("，。\n了")] = 50.0
    form = Form("qijue", rhyme=True, tones="strict")
    for text in poem(model, tokenizer, form):
        assert not breaches(text, form, (4, 7))


@pytest.mark.parametrize(
    ("form", "prompt", "problem"),
    [
        (Form("sonnet"), "", "`form` is 'sonnet', not one of"),
        (Form("qijeu"), "", "did you mean 'qijue'"),
        (Form("wujue", "春江花月夜"), "", "5 characters, but wujue has only 4 verses"),
        (Form("wujue", lines=3), "", "belongs to the form lines"),
        (Form("lines", lines=3), "", "needs `characters`"),
        (Form("lines", lines=0, characters=5), "", "`lines` is 0"),
        (Form("lines", lines=4, characters=6, tones="strict"), "", "5 or 7"),
        (Form("couplet", rhyme=True), "春江", "don't rhyme"),
        (Form("couplet"), "", "last line has only Chinese characters"),
        (Form("couplet"), "abc", "last line has only Chinese characters"),
        (Form("wujue", "☃"), "", "can't write '☃'"),
    ],
)
def test_a_form_that_can_not_be_kept_is_an_error_beforehand(
    model: CharModel, tokenizer: Tokenizer, form: Form, prompt: str, problem: str
) -> None:
    with pytest.raises(GenerationError, match=problem):
        Engine(model, tokenizer).check(Request(prompt, WILD, 0, form))


def test_a_stop_string_contradicts_a_form(model: CharModel, tokenizer: Tokenizer) -> None:
    request = Request("", SamplingConfig(stop=("。",)), 0, Form("wujue"))
    with pytest.raises(GenerationError, match="stop string"):
        Engine(model, tokenizer).check(request)


def test_a_vocabulary_that_can_not_fulfil_a_form_is_an_error() -> None:
    tokenizer = Tokenizer.train(Counter("，。\nabcd"), 9, "unk")
    with pytest.raises(GenerationError, match="no Chinese character"):
        Engine(make_model(tokenizer), tokenizer).check(Request("", WILD, 0, Form("wujue")))
    few = Tokenizer.train(Counter("，。\n春江花月夜"), 9, "unk")
    with pytest.raises(GenerationError, match="No rhyme has 4 characters"):
        Engine(make_model(few), few).check(Request("", WILD, 0, Form("wulv", rhyme=True)))
    bare = Tokenizer.train(Counter("春江"), 9, "unk")
    with pytest.raises(GenerationError, match="can't write '。', '，'"):
        Engine(make_model(bare), bare).check(Request("", WILD, 0, Form("wujue")))


def test_readings_are_those_in_use() -> None:
    known = readings("长踩思诗风〇a")
    assert known["长"] == (Reading("唐", "仄"), Reading("唐", "平"))
    assert known["踩"] == (Reading("开", "仄"),)
    assert known["思"] == (Reading("支", "平"),)
    assert known["诗"] == (Reading("支", "平"),)
    assert known["风"] == (Reading("庚", "平"),)
    assert known["a"] == ()


def test_every_character_of_the_shipped_texts_rhymes() -> None:
    han = {c for c in TEXT if "\u4e00" <= c <= "\u9fff"}
    unknown = [c for c, known in readings(han).items() if not all(r.rhyme for r in known)]
    assert unknown == ["嗯"]


def test_without_pypinyin_rhymes_name_the_extra(
    monkeypatch: pytest.MonkeyPatch, model: CharModel, tokenizer: Tokenizer
) -> None:
    real = builtins.__import__

    def fake(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("pypinyin"):
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", fake)
    engine = Engine(model, tokenizer)
    engine.check(Request("", WILD, 0, Form("wujue", acrostic="春")))
    with pytest.raises(MissingExtraError, match="poetry"):
        engine.check(Request("", WILD, 0, Form("wujue", rhyme=True)))


def test_the_forms_are_those_that_are_documented() -> None:
    assert list(FORMS) == ["wujue", "qijue", "wulv", "qilv", "couplet", "lines"]
