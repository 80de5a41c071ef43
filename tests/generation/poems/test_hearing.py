"""Characters as they are heard in their verse, against pypinyin itself."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.engine import Engine
from chargen.generation.poems.forms import Form
from chargen.generation.poems.hearing import AnyReading, InContext, Line
from chargen.generation.poems.judging import holds
from chargen.generation.poems.parallel import is_parallel
from chargen.generation.poems.plan import HANZI
from chargen.generation.poems.pronunciation import heard, readings
from chargen.generation.requests import Request
from chargen.network.model import CharModel
from chargen.options import SamplingConfig
from tests.generation.conftest import TEXT
from tests.generation.poems.check import breaches, mirrored, rhyme_of, tones_of

CHARACTERS = [c for c, _ in Counter(TEXT).most_common(600) if HANZI.fullmatch(c)]
IDS = {c: n for n, c in enumerate(CHARACTERS)}
LINES = ("中平中仄仄平平", "中仄平平仄仄平", "中仄中平平仄仄", "仄平平仄平")


def sounds(verse: str, tones: str, rhyme: str | None = None) -> bool:
    kept = all(mark in ("中", tone) for mark, tone in zip(tones, tones_of(verse), strict=True))
    return kept and rhyme in (None, rhyme_of(verse))


def chosen(allowed: np.ndarray) -> set[str]:
    return {CHARACTERS[n] for n in np.flatnonzero(allowed)}


@pytest.fixture(scope="module")
def ear() -> InContext:
    return InContext(IDS, len(IDS))


@pytest.mark.parametrize("tones", LINES)
@pytest.mark.parametrize("group", [None, "唐"])
def test_what_ends_a_verse_is_what_pypinyin_reads_rightly(
    ear: InContext, tones: str, group: str | None
) -> None:
    line = Line(tones, frozenset((group,)) if group else None)
    rhyme = rhyme_of("唐") if group and tones[-1] == "平" else None
    line = line if rhyme or group is None else Line(tones)
    drawn = random.Random(tones)
    for _ in range(4):
        verse = ""
        while len(verse) < len(tones) - 1:
            allowed = sorted(chosen(ear.allowed(verse, line)))
            if not allowed:  # a draft that fails
                break
            # Half of the time what follows in a phrase, which may be read in another way.
            telling = [c for c in allowed if c in ear._following.get(verse[-1:], ())]
            verse += drawn.choice(telling if telling and drawn.random() < 0.5 else allowed)
            assert ear.keeps(verse, line)
        else:
            wanted = {c for c in CHARACTERS if sounds(verse + c, tones, rhyme)}
            assert chosen(ear.allowed(verse, line)) == wanted, verse


def test_a_character_may_begin_a_phrase_in_which_it_fits(ear: InContext) -> None:
    assert "长" in chosen(ear.allowed("", Line("平平")))  # 长空
    assert {"天", "空"} <= chosen(ear.allowed("长", Line("平平")))
    assert "人" not in chosen(ear.allowed("长", Line("平平")))
    assert "长" not in chosen(ear.allowed("山", Line("平平")))
    assert "长" in chosen(AnyReading(IDS, len(IDS)).allowed("山", Line("平平")))


@pytest.mark.parametrize(
    ("verse", "place", "tone"),
    [
        ("苍水如青柳中流", 5, "平"),
        ("御宇揖山空中迟", 5, "平"),
        ("御宇揖山空中迟", 4, "平"),
        ("人间不知情处夜", 3, "平"),
    ],
)
def test_a_verse_is_read_as_one_hears_it(verse: str, place: int, tone: str) -> None:
    assert heard(verse)[place].tone == tone
    # What let these verses pass: another reading, which is not that of the verse.
    assert {r.tone for r in readings(verse)[verse[place]]} != {tone} or verse[place] == "知"


def test_characters_without_a_reading_fit_only_where_any_tone_does() -> None:
    found = heard("春𪛖☃夜")
    assert [reading.tone for reading in found] == ["平", "", "", "仄"]


@pytest.mark.parametrize(
    ("first", "second", "parallel"),
    [
        ("年年春草绿", "岁岁晚山青", True),
        ("年年春草绿", "岁月晚山青", False),
        ("春江流月色", "岁岁晚山青", False),
        ("春江流月色", "晚山青月下", False),
        ("山外青山远", "水中明水清", True),
    ],
)
def test_parallel_verses_repeat_at_the_same_places(first: str, second: str, parallel: bool) -> None:
    assert is_parallel(first, second) is parallel
    assert mirrored(first, second) is parallel


@pytest.mark.parametrize("seed", range(2))
def test_a_poem_that_is_changed_does_not_hold(
    model: CharModel, tokenizer: Tokenizer, seed: int
) -> None:
    form = Form("wulv", rhyme=True, tones="strict")
    engine = Engine(model, tokenizer)
    (text,) = [r.text for r in engine.generate([Request("", SamplingConfig(), seed, form)])]
    verses = text.replace("，", "。").replace("\n", "").split("。")[:-1]
    task = engine.poet.task(form, "")
    drawn = random.Random(seed)
    assert holds(verses, task)
    held = 0
    for _ in range(60):
        row, place = drawn.randrange(8), drawn.randrange(5)
        changed = verses[row][:place] + drawn.choice(CHARACTERS) + verses[row][place + 1 :]
        other = [*verses[:row], changed, *verses[row + 1 :]]
        marked = "\n".join(f"{a}，{b}。" for a, b in zip(other[::2], other[1::2], strict=True))
        if holds(other, task):
            held += 1
            assert not breaches(marked, "wulv"), marked
    assert 0 < held < 40
