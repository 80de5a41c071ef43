"""Texts of strangers in the engine: cancelled, failing alone, with their odds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import torch

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ChargenError, GenerationError
from chargen.generation.engine import Engine
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Chunk, Drawn, Request, Result
from chargen.generation.slot_text import SlotText
from chargen.network.model import CharModel
from chargen.options import SamplingConfig
from tests.generation.conftest import make_counts, make_mixed_model, make_model
from tests.generation.test_engine import requests, texts


def nothing() -> Iterable[str]:
    return ()


def never(key: str, error: ChargenError) -> None:
    raise error


def keyed(wanted: Iterable[Request]) -> Iterator[tuple[str, Request]]:
    return ((str(n), request) for n, request in enumerate(wanted))


def served(engine: Engine, wanted: Iterable[Request]) -> tuple[dict[int, Result], ...]:
    """The results, and the odds of each text's characters."""
    results: dict[int, Result] = {}
    drawn: dict[int, list[Drawn]] = {}
    for key, part in engine.serve(keyed(wanted), nothing, never):
        assert key == str(part.index)
        if isinstance(part, Chunk):
            assert len(part.drawn) in (0, len(part.text))
            drawn.setdefault(part.index, []).extend(part.drawn)
        else:
            results[part.index] = part
    return results, drawn  # type: ignore[return-value]


@pytest.mark.parametrize("mixed", [False, True])
def test_odds_change_no_text_and_sum_to_its_bits(tokenizer: Tokenizer, mixed: bool) -> None:
    model = make_mixed_model(tokenizer) if mixed else make_model(tokenizer)
    ngram = make_counts(tokenizer) if mixed else None
    engine = Engine(model, tokenizer, ngram, slots=5, logprobs=True)
    wanted = requests(30)
    some = [replace(r, alternatives=(None, 0, 3)[n % 3]) for n, r in enumerate(wanted)]
    results, drawn = served(engine, some)
    plain = texts(engine, wanted)
    assert [results[n] for n in range(30)] == plain
    for n, each in drawn.items():
        if some[n].alternatives is None:
            assert each == []
            continue
        assert "".join(one.character for one in each) == results[n].text
        bits = -sum(one.nats for one in each) / math.log(2)
        whole = (results[n].bits_per_char or 0) * results[n].characters
        assert bits == pytest.approx(whole, rel=1e-4, abs=1e-4)
        for one in each:
            assert len(one.likely) == some[n].alternatives
            assert (one.gate is None) is not mixed
            known = dict(one.likely)
            assert known.get(one.character, one.nats) == pytest.approx(one.nats, abs=1e-5)
            assert list(known.values()) == sorted(known.values(), reverse=True)


def test_the_likeliest_are_those_of_the_network(unk_tokenizer: Tokenizer) -> None:
    model = make_model(unk_tokenizer)
    config = SamplingConfig(length=1, temperature=1.0)
    _, drawn = served(Engine(model, unk_tokenizer), [Request("春", config, 0, alternatives=20)])
    ids = [unk_tokenizer.newline_id, *unk_tokenizer.encode("春").tolist()]
    with torch.no_grad():
        s, _ = model(torch.tensor(ids)[:, None], model.initial_state(1))
        p = torch.log_softmax(model.logits(s[-1, 0]), 0)
    p[torch.from_numpy(unk_tokenizer.never_sampled)] = -torch.inf
    best = p.topk(20)
    (one,) = drawn[0]  # type: ignore[misc]
    assert [name for name, _ in one.likely] == [unk_tokenizer.piece(i) for i in best.indices]
    assert [x for _, x in one.likely] == pytest.approx(best.values.tolist(), abs=1e-4)


def test_a_cancelled_text_frees_its_slot_at_the_next_character(
    model: CharModel, tokenizer: Tokenizer
) -> None:
    long = Request("春", SamplingConfig(length=10_000, temperature=1.0), 0)
    reading = Request("春" * 5000, SamplingConfig(length=5), 1)
    short = Request("夏", SamplingConfig(length=3, temperature=1.0), 2)
    gone: list[str] = []
    steps = 0

    def cancelled() -> Iterable[str]:
        nonlocal steps
        steps += 1
        if steps == 4:
            gone.extend(["0", "1", "99"])
        return gone

    engine = Engine(model, tokenizer, slots=2)
    parts = [part for _, part in engine.serve(keyed([long, reading, short]), cancelled, never)]
    assert [part.index for part in parts if isinstance(part, Result)] == [2]
    # The first of the three steps before it reads the newline that precedes every text.
    assert sum(len(part.text) for part in parts if isinstance(part, Chunk)) == 2 + 3
    assert steps < 10
    (alone,) = texts(engine, [short])
    assert parts[-1] == replace(alone, index=2)


def test_neighbours_of_a_cancelled_text_are_what_they_are_alone(
    model: CharModel, tokenizer: Tokenizer
) -> None:
    wanted = requests(40, longest=30)
    turn = iter(range(1000))
    engine = Engine(model, tokenizer, slots=6)
    gone = {"3", "7", "8", "20", "39"}
    some = (key for key in gone)
    parts = engine.serve(keyed(wanted), lambda: gone if next(turn) % 3 else some, never)
    found = {part.index: part for _, part in parts if isinstance(part, Result)}
    alone = texts(engine, wanted)
    assert set(range(40)) - set(map(int, gone)) <= set(found)
    assert all(found[n] == alone[n] for n in found)


def test_a_text_that_fails_leaves_the_others_alone(
    model: CharModel, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: SlotText) -> None:
        raise GenerationError("No draft.")

    monkeypatch.setattr(SlotText, "begin_again", fail)
    monkeypatch.setattr(
        SlotText, "failed", property(lambda t: t.poem is not None and t.grown.pieces > 3)
    )
    poem = Request("", SamplingConfig(), 0, Form("wujue"))
    unreadable = Request("\ud800", SamplingConfig(), 0)
    plain = requests(6, longest=9)

    def wanted() -> Iterator[Request]:
        yield from plain[:3]
        yield poem
        yield unreadable
        yield from plain[3:]

    failures: dict[str, str] = {}
    engine = Engine(model, tokenizer, slots=3)
    parts = engine.serve(keyed(wanted()), nothing, lambda n, e: failures.update({n: e.message}))
    found = {part.index: part.text for _, part in parts if isinstance(part, Result)}
    assert failures.pop("3") == "No draft."
    assert "lone surrogate" in failures.pop("4")
    assert failures == {}
    assert list(dict(sorted(found.items())).values()) == [r.text for r in texts(engine, plain)]


@pytest.mark.parametrize("pace", [0.0, 1e-4, 1e9])
def test_whatever_the_pace_chunks_are_the_whole_text(
    model: CharModel, tokenizer: Tokenizer, pace: float
) -> None:
    wanted = [
        replace(r, alternatives=n % 2 or None) for n, r in enumerate(requests(30, longest=25))
    ]
    engine = Engine(model, tokenizer, slots=4)
    found, drawn = dict.fromkeys(range(30), ""), dict.fromkeys(range(30), "")
    for _, part in engine.serve(keyed(wanted), nothing, never, pace):
        if isinstance(part, Chunk):
            found[part.index] += part.text
            drawn[part.index] += "".join(one.character for one in part.drawn)
        else:
            assert part.text == found[part.index]
    plain = [result.text for result in texts(engine, wanted)]
    assert list(found.values()) == plain
    assert [drawn[n] for n in range(1, 30, 2)] == plain[1::2]


@pytest.mark.parametrize("mixed", [False, True])
def test_odds_are_those_before_recall(tokenizer: Tokenizer, mixed: bool) -> None:
    model = make_mixed_model(tokenizer) if mixed else make_model(tokenizer)
    engine = Engine(model, tokenizer, make_counts(tokenizer) if mixed else None)
    wanted = [
        Request("春风，春雨，春", SamplingConfig(length=1, recall=recall), 0, alternatives=5)
        for recall in (0, 100)
    ]
    _, drawn = served(engine, wanted)
    assert dict(drawn[0][0].likely) == pytest.approx(dict(drawn[1][0].likely))
