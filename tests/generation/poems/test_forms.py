from __future__ import annotations

import builtins
import re
from collections import Counter
from functools import cache
from math import isfinite

import pytest
import torch
from pypinyin import Style, pinyin

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ConfigError, GenerationError, MissingExtraError
from chargen.generation.engine import Engine
from chargen.generation.poems.forms import FORMS, Form
from chargen.generation.poems.hearing import Line
from chargen.generation.poems.plan import lead, line_to_answer
from chargen.generation.poems.pronunciation import Reading, readings
from chargen.generation.requests import Request
from chargen.network.model import CharModel
from chargen.options import SamplingConfig
from tests.generation.conftest import TEXT, make_counts, make_mixed_model, make_model
from tests.generation.poems.check import SHAPES, breaches, rhyme_of

WILD = SamplingConfig(temperature=2.0, length=7)

TONES = {"1": "平", "2": "平", "3": "仄", "4": "仄"}


def tones_of(verse: str) -> list[str]:
    """The tone of each character, as it is read in the verse."""
    return [TONES.get(mark[-1], "") for (mark,) in pinyin(verse, style=Style.TONE3)]


@cache
def engine_of(model: CharModel, tokenizer: Tokenizer) -> Engine:
    """One for several tests: it remembers what each kind of verse can go on with."""
    return Engine(model, tokenizer, slots=4)


def poem(model: CharModel, tokenizer: Tokenizer, form: Form, prompt: str = "") -> list[str]:
    wanted = [Request(prompt, WILD, seed, form) for seed in range(6)]
    results = sorted(engine_of(model, tokenizer).generate(wanted), key=lambda result: result.index)
    assert all(result.finish_reason == "form" for result in results)
    assert all(result.characters == len(result.text) for result in results)
    return [result.text for result in results]


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize(
    ("oov", "rules", "acrostic"),
    [
        ("bytes", "", "春江花月"),
        ("bytes", "rhyme", ""),
        ("bytes", "tones", ""),
        ("bytes", "rhyme tones", "春江花月"),
        ("unk", "rhyme tones", ""),
    ],
)
def test_no_poem_breaks_the_rule_asked_for(
    request: pytest.FixtureRequest, oov: str, name: str, rules: str, acrostic: str
) -> None:
    prefix = "" if oov == "bytes" else "unk_"
    model, tokenizer = (request.getfixturevalue(prefix + part) for part in ("model", "tokenizer"))
    rhyme, tones = "rhyme" in rules, "tones" in rules
    form = Form(name, acrostic, rhyme=rhyme, tones="strict" if tones else "none")
    for text in poem(model, tokenizer, form):
        assert re.fullmatch(r"[\u3400-\u9fff，。\n]+", text)
        found = breaches(text, name, tones=tones, rhyme=rhyme, first=tones, acrostic=acrostic)
        assert not found, text


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("first", ["yes", "no"])
@pytest.mark.parametrize("tones", ["none", "strict"])
def test_the_first_verse_rhymes_where_it_is_asked_to(
    model: CharModel, tokenizer: Tokenizer, name: str, first: str, tones: str
) -> None:
    form = Form(name, rhyme=True, first_rhyme=first, tones=tones)
    for text in poem(model, tokenizer, form):
        assert not breaches(text, name, tones=tones == "strict", first=first == "yes"), text


@pytest.mark.parametrize(
    ("config", "gate"),  # of 40 and -40 nearly nothing is left of one of the two
    [(WILD, -40.0), (SamplingConfig(), 0.0), (SamplingConfig(temperature=0), 40.0)],
)
def test_no_poem_of_a_mixture_breaks_the_rule(
    tokenizer: Tokenizer, config: SamplingConfig, gate: float
) -> None:
    model = make_mixed_model(tokenizer)
    assert model.b is not None
    with torch.no_grad():
        model.b.fill_(gate)
    form = Form("qijue", "春江花月", rhyme=True, tones="strict")
    engine = Engine(model, tokenizer, make_counts(tokenizer), slots=3, logprobs=True)
    for result in engine.generate([Request("", config, seed, form) for seed in range(3)]):
        assert not breaches(result.text, "qijue", acrostic="春江花月"), result.text
        assert result.bits_per_char is not None
        assert isfinite(result.bits_per_char)


def test_lines_are_as_many_and_as_long_as_asked(model: CharModel, tokenizer: Tokenizer) -> None:
    form = Form("lines", acrostic="山水", lines=5, characters=3, rhyme=True)
    for text in poem(model, tokenizer, form, "题"):
        verses = text.split("\n")
        assert [len(verse) for verse in verses] == [3] * 5
        assert (verses[0][0], verses[1][0]) == ("山", "水")
        assert rhyme_of(verses[1]) == rhyme_of(verses[3]) is not None


@pytest.mark.parametrize(
    ("prompt", "end"), [("白日依山尽", "。"), ("春\n白日依山尽，", "。"), ("白日依山尽\n", "")]
)
def test_a_couplet_answers_the_last_line(
    model: CharModel, tokenizer: Tokenizer, prompt: str, end: str
) -> None:
    for text in poem(model, tokenizer, Form("couplet", tones="strict"), prompt):
        assert re.fullmatch(rf"[\u4e00-\u9fff]{{5}}{end}", text)
        assert tones_of(text.rstrip("。"))[1::2] == ["平", "仄"]
        assert tones_of(text.rstrip("。"))[4] == "平"


@pytest.mark.parametrize(("name", "rules"), [("wujue", ""), ("wulv", "rhyme tones")])
def test_what_a_pattern_gives_stays(
    model: CharModel, tokenizer: Tokenizer, name: str, rules: str
) -> None:
    pattern = "___花_/_江__，＿\n_风__"
    form = Form(name, "春", pattern=pattern, rhyme=bool(rules), tones="strict" if rules else "none")
    for text in poem(model, tokenizer, form):
        verses = re.split("[，。\n]+", text)
        found = breaches(text, name, tones=bool(rules), rhyme=bool(rules), first=bool(rules))
        assert not found, text
        assert (verses[0][0], verses[0][3], verses[1][1], verses[2][1]) == ("春", "花", "江", "风")


def test_a_pattern_leaves_the_other_draws_their_numbers(
    model: CharModel, tokenizer: Tokenizer
) -> None:
    engine = Engine(model, tokenizer)
    config = SamplingConfig(temperature=0.5)
    (free,) = engine.generate([Request("", config, 5, Form("qijue"))])
    for pattern in (free.text, free.text[:10], "_" * 27 + free.text[-2]):
        (held,) = engine.generate([Request("", config, 5, Form("qijue", pattern=pattern))])
        assert held.text == free.text


def test_a_likely_mark_or_line_end_does_not_come_early(tokenizer: Tokenizer) -> None:
    model = make_model(tokenizer)
    assert model.c is not None
    model.c.data[tokenizer.encode("，。\n了")] = 50.0
    form = Form("qijue", rhyme=True, tones="strict")
    for text in poem(model, tokenizer, form):
        assert not breaches(text, "qijue"), text


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
        (Form("qijue", first_rhyme="yes"), "", "`first_rhyme` needs `rhyme`"),
        (Form("qijue", tones="loose"), "", "`tones` is 'loose'"),
        (Form("wulv", "春江花花"), "", "begins verses 3 and 4 with '花', but they are parallel"),
        (
            Form("wulv", pattern="_____/_____/春_夜__/_夜__"),
            "",
            "gives verses 3 and 4 '夜', but they are parallel",
        ),
        (Form("wujue", pattern="_" * 21), "", "21 places, but wujue has only 20 characters"),
        (
            Form("wujue", "春", pattern="花"),
            "",
            "begins verse 1 with '花', and `acrostic` with '春'",
        ),
        (Form("couplet", pattern="___"), "春江", "3 places, and the verse 2"),
        (Form("couplet", "春", pattern="花"), "春江", "with '花', and `acrostic` with '春'"),
        (Form("couplet", pattern="_" * 101), "春江", "101 places, but couplet has only 100"),
        (Form("qijue", tones="lenient", pattern="_年_年"), "", "`pattern` doesn't fit"),
        (Form("wujue", pattern="_？"), "", "can't have '？'"),
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


def test_lenient_tones_admit_a_given_character_in_the_readings_in_use_alone(
    model: CharModel, tokenizer: Tokenizer
) -> None:
    engine, form = Engine(model, tokenizer), Form("wujue", tones="lenient", pattern="_年_")
    poet = engine.poet
    assert {r.tone for r in readings("年")["年"]} == {"平"}
    assert {r.tone for r in readings("年", rare=True)["年"]} == {"平", "仄"}
    assert not poet.may_have({1: "年"}, Line("中仄中平平"), poet.lenient)
    assert all(way[0][0][1] != "仄" for way in poet.task(form, "").ways)


LINE = "白日依山尽"


@pytest.mark.parametrize(
    ("prompt", "line", "closing"),
    [
        *[("", "", ""), ("\n", "", "\n"), (LINE, LINE, ""), (f"{LINE}，。\n", LINE, "，。\n")],
        *[(f"春，{LINE}", LINE, ""), (f"春\n{LINE}.", LINE, "."), (f"{LINE}\n\n", "", "\n")],
        *[(f"{LINE}。\n，", "", "，"), ("，。\n", "", "，。\n")],
        ("好" * 1_000_000 + f"，{LINE}", LINE, ""),  # hours where the time is quadratic
    ],
    ids=range(10),
)
def test_the_last_line_ends_with_its_punctuation(prompt: str, line: str, closing: str) -> None:
    assert line_to_answer(prompt) == line
    assert lead(Form("couplet"), prompt) == prompt + ("" if closing else "，")


def test_a_stop_string_contradicts_a_form(model: CharModel, tokenizer: Tokenizer) -> None:
    request = Request("", SamplingConfig(stop=("。",)), 0, Form("wujue"))
    with pytest.raises(ConfigError, match="stop string"):
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
