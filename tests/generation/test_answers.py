from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from chargen.corpus.labels import Labels
from chargen.corpus.records import Record
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ConfigError, GenerationError
from chargen.evaluation.answers import answer_costs
from chargen.evaluation.texts import split_of
from chargen.generation.answering import AnswerNetwork, ordered_sum
from chargen.generation.beams import Search, length_factor
from chargen.generation.engine import Engine
from chargen.generation.poems.answers import SameLength, broken_rules
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Request, Result
from chargen.network.seq2seq import Seq2Seq
from chargen.ngrams import KneserNey, count
from chargen.options import CELLS, SamplingConfig, check
from tests.generation.conftest import make_model
from tests.pairs import HANZI, answering, tokenizer_of

PLAIN = [name for name, entry in CELLS.items() if not entry.wants_output]
LINES = ["春风又绿江南岸", "", "明月何时照我还", "天", "雾蒙蒙", "又又", "山花对海树" * 4]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizer_of(HANZI)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Seq2Seq:
    return answering(tokenizer.size, hidden_size=24, embedding_size=16, bidirectional=True)


@pytest.fixture(scope="module")
def mixed(tokenizer: Tokenizer) -> Seq2Seq:
    """The same with a gate."""
    shape = {"hidden_size": 24, "embedding_size": 16, "bidirectional": True}
    return answering(tokenizer.size, ngram="3", **shape)


def counts_of(texts: list[str], tokenizer: Tokenizer) -> KneserNey:
    """Counts of answers, each of which ends."""
    order, newline = 3, tokenizer.newline_id
    ids = [[*tokenizer.encode(text).tolist(), tokenizer.end_id] for text in texts]
    stream = [piece for text in ids for piece in (*[newline] * (order - 1), *text)]
    return count(np.array(stream, np.uint16), tokenizer.size, order, newline)


def answers(
    engine: Engine, lines: list[str], form: Form | None = None, **options: Any
) -> list[Result]:
    config = SamplingConfig(**options)
    requests = [Request(line, config, n, form) for n, line in enumerate(lines)]
    return sorted(engine.generate(requests), key=lambda result: result.index)


@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("attention", ["none", "dot", "additive"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_folded_network_computes_what_the_network_does(
    cell: str, attention: str, bidirectional: bool
) -> None:
    shape = {"cell": cell, "attention": attention, "bidirectional": bidirectional}
    check_folded(answering(11, hidden_size=12, embedding_size=8, **shape))


@pytest.mark.parametrize(
    "shape",
    [
        {"embedding_size": 0},
        {"num_layers": 2},
        {"tie_weights": True, "embedding_size": 8},
        {"hidden_size": 7},
        {"cell": "rnn,lstm", "num_layers": 2},
        {"bias": False},
    ],
    ids=str,
)
def test_any_shape_is_folded(shape: dict[str, Any]) -> None:
    check_folded(answering(11, bidirectional=True, **shape))


@torch.inference_mode()
def check_folded(model: Seq2Seq) -> None:
    source, ids = [3, 5, 1, 7, 10, 2, 2, 9, 4, 6], [0, 4, 8, 2]
    network = AnswerNetwork(model)
    rows = network.rows(3)
    rows.read(1, [3, 1])
    rows.read(0, source)
    read = model.encode(torch.tensor(source)[:, None], torch.tensor([len(source)]))
    expected = model.decoder.logits(model.decode(torch.tensor(ids)[:, None], read)[:, 0])
    for n, row in zip(ids, expected, strict=True):
        s = rows.step(np.full(network.tile, n))
        torch.testing.assert_close(rows.scores(s, 1)[0, :11], row, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"match_source_length": True}, {"beam_size": 3}], ids=str)
@pytest.mark.parametrize("counted", [False, True])
def test_an_answer_is_the_same_in_any_company(
    model: Seq2Seq, mixed: Seq2Seq, tokenizer: Tokenizer, options: dict[str, Any], *, counted: bool
) -> None:
    network, ngram = (mixed, counts_of(LINES, tokenizer)) if counted else (model, None)
    alone = []
    for slots in (1, 2, 5, 64):
        engine = Engine(network, tokenizer, ngram, slots=slots, logprobs=True)
        alone.append(answers(engine, LINES, length=12, **options))
    assert all(found == alone[0] for found in alone)
    assert [result.text == "" for result in alone[0]] == [line == "" for line in LINES]


def test_an_answer_is_the_same_with_any_number_of_threads(
    model: Seq2Seq, tokenizer: Tokenizer
) -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(answers(Engine(model, tokenizer, slots=4), LINES * 10, length=12))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_memory_grows_with_a_longer_text_beside_it(model: Seq2Seq) -> None:
    with torch.inference_mode():
        network = AnswerNetwork(model)
        alone, beside = network.rows(2), network.rows(2)
        for rows in (alone, beside):
            rows.read(0, [3, 4, 1])
        found = []
        for n in (0, 5, 6):
            if n == 5:
                beside.read(1, list(range(2, 12)) * 4)
            found.append(
                [rows.step(np.full(max(2, network.tile), n))[0] for rows in (alone, beside)]
            )
    assert all(torch.equal(*pair) for pair in found)


def test_an_ordered_sum_is_a_sum() -> None:
    x = torch.randn(3, 13, 5, generator=torch.Generator().manual_seed(0)).double()
    for dim in range(3):
        torch.testing.assert_close(ordered_sum(x, dim), x.sum(dim))
    more = torch.cat([x[:, :8], torch.zeros(3, 8, 5)], dim=1)
    assert torch.equal(ordered_sum(more, 1), ordered_sum(x[:, :8], 1))


def test_a_stream_gives_the_same_as_results(model: Seq2Seq, tokenizer: Tokenizer) -> None:
    engine = Engine(model, tokenizer, slots=3)
    for options in ({}, {"beam_size": 2}):
        config = SamplingConfig(length=9, **options)  # type: ignore[arg-type]
        parts = list(engine.stream(Request(line, config, 1) for line in LINES))
        texts = dict.fromkeys(range(len(LINES)), "")
        for part in parts:
            if not isinstance(part, Result):
                texts[part.index] += part.text
        assert texts == {part.index: part.text for part in parts if isinstance(part, Result)}


# Rules.


def test_answers_match_the_length_of_their_lines(model: Seq2Seq) -> None:
    spelt = tokenizer_of(HANZI[:12], "bytes")  # the others are spelt in bytes
    wide = answering(spelt.size, hidden_size=24, embedding_size=16)
    for engine in (Engine(model, tokenizer_of(HANZI)), Engine(wide, spelt)):
        for options in ({"temperature": 1.5}, {"beam_size": 3}):
            found = answers(engine, LINES, match_source_length=True, **options)
            assert [len(result.text) for result in found] == [len(line) for line in LINES]
            assert all("\n" not in result.text for result in found)


def keeps_the_rules(first: str, second: str) -> bool:
    """Written without a look at the package: pypinyin's tones, straight from the definition."""
    from chargen.generation.poems.pronunciation import readings

    known = readings(first + second)
    tones = {c: {reading.tone for reading in known[c]} - {""} for c in first + second}
    if len(first) != len(second) or set(first) & set(second):
        return False
    for n, (a, b) in enumerate(zip(first, second, strict=True)):
        if any((a == c) != (b == d) for c, d in zip(first, second, strict=True)):
            return False
        judged = n % 2 == 1 or n == len(first) - 1
        opposite = {"平": "仄", "仄": "平"}
        if judged and len(tones[a]) == 1 and opposite[min(tones[a])] not in tones[b]:
            return False
    return True


@pytest.mark.parametrize("options", [{"temperature": 1.5}, {"beam_size": 2}], ids=str)
def test_no_couplet_breaks_a_rule(
    model: Seq2Seq, tokenizer: Tokenizer, options: dict[str, Any]
) -> None:
    pytest.importorskip("pypinyin")
    draw = np.random.default_rng(0)
    characters = sorted(set(HANZI))
    lines = []
    for _ in range(50):
        line = "".join(draw.choice(characters, draw.integers(1, 9)))
        lines.append(line[:2] * 2 + line if draw.random() < 0.3 else line)
    found = answers(Engine(model, tokenizer), lines, Form("couplet"), **options)
    assert len(found) == 50
    for line, result in zip(lines, found, strict=True):
        assert keeps_the_rules(line, result.text), (line, result.text)
        assert broken_rules(line, result.text) == ()
        assert result.finish_reason == "form"


def test_a_scarce_vocabulary_is_used_up_without_a_mistake() -> None:
    pytest.importorskip("pypinyin")
    tokenizer = tokenizer_of("山水天地花草")  # 平仄平仄平仄, as 天 is read 平 and 地 仄
    engine = Engine(answering(tokenizer.size), tokenizer, oov_prompt="skip")
    line = "云雨风"  # 平仄平: 雨 needs 平, 风 needs 仄, 云 takes what is left
    for seed in range(20):
        config = SamplingConfig(temperature=3)
        (result,) = engine.generate([Request(line + "", config, seed, Form("couplet"))])
        assert keeps_the_rules(line, result.text)
    with pytest.raises(GenerationError, match="keeps the rules"):
        engine.check(Request("雨云雨风雪霜雪烟", SamplingConfig(), 0, Form("couplet")))


def test_marks_stand_where_the_line_has_them() -> None:
    pytest.importorskip("pypinyin")
    tokenizer = tokenizer_of(HANZI + "，")
    engine = Engine(answering(tokenizer.size), tokenizer)
    (result,) = answers(engine, ["春风绿，明月还"], Form("couplet"))
    assert [n for n, c in enumerate(result.text) if c == "，"] == [3]
    assert broken_rules("春风绿，明月还", result.text) == ()


@pytest.mark.parametrize(
    ("first", "second", "broken"),
    [
        ("春风", "秋月天", ("length",)),
        ("雷隐隐", "雾蒙天", ("repetition",)),
        ("山花", "海山", ("repetition", "no character of the line")[1:]),
        ("明月", "白日", ("tones",)),
    ],
)
def test_what_breaks_a_rule_is_named(first: str, second: str, broken: tuple[str, ...]) -> None:
    pytest.importorskip("pypinyin")
    assert broken_rules(first, second)[: len(broken)] == broken


# Beams.


class Toy:
    """A network that answers with a, b and newlines, and what it says of every answer."""

    def __init__(self, *, counted: bool) -> None:
        tokenizer = tokenizer_of("ab")
        ngram = counts_of(["ab", "a", "bba", "b", "baab", "ab"], tokenizer) if counted else None
        self.model, self.ngram = answering(tokenizer.size, seed=4, ngram="03"[counted]), ngram
        self.engine = Engine(self.model, tokenizer, ngram, logprobs=True)

    def all_answers(self, line: str, limit: int, penalty: float) -> list[tuple[float, str]]:
        """Every answer of at most ``limit`` characters, best first, scored as ``eval`` does."""
        tokenizer = self.engine.tokenizer
        texts = [
            "".join(letters)
            for length in range(1, limit + 1)
            for letters in itertools.product("ab\n", repeat=length)
        ]
        records = [Record(line, {}, text, "", None) for text in texts]
        pairs = split_of(records, tokenizer, Labels({}))
        nats, _ = answer_costs(self.model, pairs, tokenizer.newline_id, self.ngram)
        lengths = pairs.lengths(1)
        costs = np.add.reduceat(nats, np.cumsum(lengths) - lengths)
        factors = [length_factor(n, penalty) for n in lengths.tolist()]
        return sorted(zip((-costs / factors).tolist(), texts, strict=True), reverse=True)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(("line", "penalty"), [("a", 0.6), ("ab", 0.0), ("bba", 2.0)])
def test_a_beam_of_full_width_is_an_exhaustive_search(
    line: str, penalty: float, *, counted: bool
) -> None:
    toy = Toy(counted=counted)
    engine = toy.engine
    source = engine.source_ids(line)
    expected = toy.all_answers(line, 4, penalty)
    with torch.inference_mode():
        found = Search(engine, None, 4, penalty).best(source, 3**4, 5)
    assert [engine.tokenizer.decode(each.ids) for each in found] == [t for _, t in expected[:5]]
    assert [each.score for each in found] == pytest.approx([s for s, _ in expected[:5]])


def test_a_beam_by_rules_is_an_exhaustive_search_among_what_keeps_them() -> None:
    toy = Toy(counted=False)
    engine = toy.engine
    source = engine.source_ids("bab")
    kept = [(s, t) for s, t in toy.all_answers("bab", 3, 0.6) if len(t) == 3 and "\n" not in t]
    rules = SameLength(engine.tokenizer, engine.network.width, 3)
    with torch.inference_mode():
        found = Search(engine, rules, 3, 0.6).best(source, 8, 8)
    assert [engine.tokenizer.decode(each.ids) for each in found] == [t for _, t in kept]


def test_the_n_best_come_in_order(model: Seq2Seq, tokenizer: Tokenizer) -> None:
    engine = Engine(model, tokenizer, logprobs=True)
    config = SamplingConfig(beam_size=6, n_best=4, match_source_length=True)
    found = list(engine.generate([Request("明月照", config, 0, rank=n) for n in range(4)]))
    bits = [result.bits_per_char for result in found]
    assert len({result.text for result in found}) == 4
    assert all(b is not None and math.isfinite(b) for b in bits)


def test_lines_that_are_read_alike_have_answers_by_their_own_rules(
    model: Seq2Seq, tokenizer: Tokenizer
) -> None:
    lines = ["春龘龘风", "春龘龖风"]  # of each the first character and the last one are read
    options: dict[str, Any] = {"beam_size": 3, "length": 9}
    together = Engine(model, tokenizer, oov_prompt="skip")
    found = [result.text for result in answers(together, lines, Form("couplet"), **options)]
    assert found[0][1] == found[0][2]
    assert found[1][1] != found[1][2]


# What can't be.


@pytest.mark.parametrize(
    ("options", "what"),
    [({"n_best": 3}, "n_best"), ({"beam_size": 2, "n_best": 3}, "n_best")],
)
def test_more_best_than_a_beam_has_is_an_error(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        check(SamplingConfig(**options))


@pytest.mark.parametrize("options", [{"beam_size": 2}, {"match_source_length": True}], ids=str)
def test_a_language_model_answers_nothing(options: dict[str, Any], tokenizer: Tokenizer) -> None:
    engine = Engine(make_model(tokenizer), tokenizer)
    with pytest.raises(ConfigError, match="continues texts"):
        engine.check(Request("春", SamplingConfig(**options), 0))


@pytest.mark.parametrize(
    ("request_of", "what"),
    [
        (lambda: Request("猫", SamplingConfig(), 0), "never seen"),
        (lambda: Request("春" * 5000, SamplingConfig(), 0), "5,000 characters"),
        (lambda: Request("春", SamplingConfig(), 0, Form("qijue")), "no poems"),
        (lambda: Request("春", SamplingConfig(stop=("天",)), 0, Form("couplet")), "stop string"),
        (lambda: Request("春", SamplingConfig(), 0, Form("couplet", pattern="月")), "no poems"),
        (lambda: Request("春 风", SamplingConfig(), 0, Form("couplet")), "Chinese characters"),
        (lambda: Request("春", SamplingConfig(label=("a=b",)), 0), "no labels"),
    ],
)
def test_what_cannot_be_answered_is_one_error(
    request_of: Callable[[], Request], what: str, model: Seq2Seq, tokenizer: Tokenizer
) -> None:
    spaced = tokenizer_of(HANZI + " ") if what == "Chinese characters" else tokenizer
    network = answering(spaced.size) if spaced is not tokenizer else model
    with pytest.raises((GenerationError, ConfigError), match=what):
        Engine(network, spaced).check(request_of())
