"""A trained model: it writes, and it judges texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import chargen
from chargen import Form, Generator
from chargen.errors import ConfigError, CorpusError, GenerationError
from chargen.generation.generator import engine_of
from chargen.generation.ranking import repeated_share
from chargen.generation.seeds import sample_seed
from tests.support import call, train_tiny


@pytest.fixture
def model(trained: Path) -> Generator:
    return chargen.load(trained, device="cpu")


def test_a_text_does_not_depend_on_those_beside_it(model: Generator) -> None:
    many = model.generate("夜", num_samples=5, length=30, seed=4)
    assert len(set(many)) > 1
    assert model.generate("夜", num_samples=2, length=30, seed=4) == many[:2]
    results = model.results("夜", num_samples=5, length=30, seed=4)
    for each in results:
        assert model.generate("夜", length=30, seed=each.seed) == [each.text]
    assert [(r.index, r.text, r.finish_reason) for r in results] == [
        (n, text, "length") for n, text in enumerate(many)
    ]


def test_the_weights_are_folded_and_a_prompt_is_read_once(model: Generator) -> None:
    before = model.generate("春眠", length=5, seed=0)
    (other,) = chargen.load(model.path, device="cpu").generate("夜来", length=5, seed=0)
    folded, known = engine_of(model).network, engine_of(model).cache
    assert engine_of(model, slots=3, oov_prompt="skip").network is folded
    assert engine_of(model, slots=3).slots == 3
    assert len(known) == 1
    assert ["".join(model.stream("春眠", length=5, seed=0))] == before
    assert len(known) == 1
    first = model.stream("春眠", length=5, seed=0)
    second = model.stream("夜来", length=5, seed=0)
    assert [a + b for a, b in zip(first, second, strict=True)] == [
        a + b for a, b in zip(before[0], other, strict=True)
    ]


def test_generating_leaves_torch_as_it_was(model: Generator) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model.generate(length=10)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_wrong_is_told_before_the_first_piece(model: Generator) -> None:
    with pytest.raises(GenerationError, match="never seen 'ж'"):
        model.stream("жизнь")
    with pytest.raises(ConfigError, match="`temperature` is -1"):
        model.stream(temperature=-1)
    with pytest.raises(ConfigError, match="2 options") as caught:
        model.generate(top_p=3, length=-1)
    assert "top_p" in caught.value.message


def test_characters_never_seen_may_be_left_out(model: Generator) -> None:
    with_them = model.generate("ж春жж眠", oov_prompt="skip", length=10, seed=1)
    assert with_them == model.generate("春眠", length=10, seed=1)


def test_per_character_costs_add_up(model: Generator) -> None:
    with pytest.raises(ConfigError, match=r"`recall` is -1, not at least 0"):
        model.score("夜来风雨声", recall=-1)
    each = model.score_characters("夜来风雨声")
    assert each.total().bits_per_char == model.score("夜来风雨声").bits_per_char


def test_a_lone_surrogate_is_an_error(model: Generator) -> None:
    for use in (model.score, model.stream):
        with pytest.raises(CorpusError, match="surrogate"):
            use("\ud800")


def test_a_form_may_be_an_object_a_name_or_json(model: Generator) -> None:
    form = Form("wujue", "春夜花鸟")
    (wanted,) = model.generate(form=form, seed=3)
    assert [wanted[n] for n in (0, 6, 13, 19)] == list("春夜花鸟")
    assert model.generate(form='{"name": "wujue", "acrostic": "春夜花鸟"}', seed=3) == [wanted]
    assert "".join(model.stream(form=form, seed=3)) == wanted
    (plain,) = model.generate(form="wujue", seed=3)
    assert [len(line) for line in plain.splitlines()] == [12, 12]
    with pytest.raises(ConfigError, match="2 options") as caught:
        model.generate(form="qijeu", length=-1)
    assert "`form` is 'qijeu' (did you mean 'qijue'?)" in caught.value.message


def test_no_text_needs_nothing(model: Generator) -> None:
    with pytest.raises(ConfigError, match="`num_samples` is 0, not at least 1"):
        model.generate(num_samples=0)
    assert model.generate(length=0) == [""]


def test_a_run_of_a_converted_text_converts_what_it_reads(here: Path) -> None:
    pytest.importorskip("opencc")
    Path("text.txt").write_text("漁村的頭髮發展\n還沒有醒來\n" * 60, encoding="utf-8")
    train_tiny("text.txt", here, convert="t2s", max_steps=2)
    model = chargen.load(here / "run", device="cpu")
    assert model.conversion == "t2s"
    assert model.generate("漁村", length=9, seed=1) == model.generate("渔村", length=9, seed=1)
    assert model.score("頭髮還沒") == model.score("头发还没")
    said = call("sample", here / "run", "-p", "漁村", "-n", 3, "--device", "cpu")
    assert "converted as the text of the run was: t2s" in said.stderr


def test_without_a_seed_texts_differ_and_report_it(model: Generator) -> None:
    first, second = (model.results("夜", length=40, temperature=1)[0] for _ in range(2))
    assert first.seed != second.seed
    assert model.generate("夜", length=40, temperature=1, seed=first.seed) == [first.text]


def test_the_best_of_several_is_the_first_by_rank(model: Generator) -> None:
    options: dict[str, Any] = {"length": 30, "temperature": 1.5, "seed": 4}
    ranked = model.ranked("夜", best_of=7, **options)
    drawn = model.results("夜", num_samples=7, **options)
    assert sorted(each.number for each in ranked) == list(range(1, 8))
    for each in ranked:
        assert each.result.text == drawn[each.number - 1].text
    typical = model.loaded.bits_per_char
    assert typical is not None
    scores = []
    for each in ranked:
        bits = each.result.bits_per_char
        assert bits is not None
        assert each.distance == pytest.approx(abs(bits - typical))
        scores.append(each.distance + 2 * each.repeated)
    assert scores == sorted(scores)
    (kept,) = model.results("夜", best_of=7, **options)
    assert (kept.text, kept.seed) == (ranked[0].result.text, ranked[0].result.seed)
    assert kept.bits_per_char is None
    two = model.results("夜", best_of=3, num_samples=2, **options)
    for n, each in enumerate(two):
        (alone,) = model.results(
            "夜", best_of=3, length=30, temperature=1.5, seed=sample_seed(4, n)
        )
        assert (each.text, each.seed) == (alone.text, alone.seed)


def test_repeated_runs_are_counted() -> None:
    assert repeated_share("abcdefgh" * 2) == pytest.approx(1 / 9)
    assert repeated_share("abcdefghijkl") == repeated_share("abc") == 0
