"""The server in a process of its own, asked by the official client and over plain sockets."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from chargen.generation.generator import Generator
from tests.serving.conftest import Served, events_of, texts

RUN = "run"


ASKED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"n": 3}, {"num_samples": 3}),
    ({"temperature": 0}, {"temperature": 0}),
    ({"top_p": 0.7, "stop": ["。"]}, {"top_p": 0.7, "stop": "。"}),
    (
        {"extra_body": {"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.2}},
        {"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.2},
    ),
    (
        {"extra_body": {"loop_penalty": 0, "end": "sentence"}},
        {"loop_penalty": 0, "end": "sentence"},
    ),
    ({"extra_body": {"form": "wujue"}}, {"form": "wujue"}),
    ({"logprobs": 3}, {}),
]


@pytest.mark.parametrize(("asked", "same"), ASKED, ids=str)
@pytest.mark.parametrize("stream", [False, True])
def test_a_text_is_that_of_sample(
    server: Served, model: Generator, asked: dict[str, Any], same: dict[str, Any], stream: bool
) -> None:
    want = model.results("春", length=40, seed=11, **same)
    whole: Any = {"model": RUN, "prompt": "春", "max_tokens": 40, "seed": 11, **asked}
    with server.client() as client:
        answer = client.completions.create(**whole, stream=stream)
        if not stream:
            assert texts(answer) == [result.text for result in want]
            reasons = [choice.finish_reason for choice in answer.choices]
        else:
            found: dict[int, str] = {}
            ended: dict[int, str] = {}
            for chunk in answer:
                (choice,) = chunk.choices
                found[choice.index] = found.get(choice.index, "") + choice.text
                if choice.finish_reason:
                    assert choice.index not in ended
                    ended[choice.index] = choice.finish_reason
            assert [found[n] for n in sorted(found)] == [result.text for result in want]
            reasons = [ended[n] for n in sorted(ended)]
    assert reasons == ["length" if r.finish_reason == "length" else "stop" for r in want]


def test_an_answer_has_the_fields_of_openai(server: Served, model: Generator) -> None:
    with server.client() as client:
        answer = client.completions.create(
            model=RUN, prompt=["春", "夜来"], n=2, max_tokens=5, seed=1, logprobs=2, echo=True
        )
    want = [model.results(p, length=5, seed=1, num_samples=2) for p in ("春", "夜来")]
    assert texts(answer) == [
        prompt + result.text
        for prompt, each in zip(("春", "夜来"), want, strict=True)
        for result in each
    ]
    assert answer.object == "text_completion"
    assert answer.model == RUN
    assert answer.system_fingerprint == model.identity()["weights_sha256"]
    assert answer.usage is not None
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 20, 23)
    assert len({answer.id, *(choice.index for choice in answer.choices)}) == 5
    for choice in answer.choices:
        costs = choice.logprobs
        assert costs is not None
        assert "".join(costs.tokens or ()) == choice.text
        assert costs.text_offset == list(range(len(choice.text)))
        prompt = 1 if choice.index < 2 else 2
        scores = model.score_characters("春" if prompt == 1 else "夜来")
        assert costs.token_logprobs is not None
        assert costs.token_logprobs[:prompt] == pytest.approx((-scores.nats).tolist(), abs=1e-4)
        assert costs.top_logprobs is not None
        for token, cost, likely in zip(
            costs.tokens or (), costs.token_logprobs, costs.top_logprobs, strict=True
        ):
            assert likely[token] == cost
        assert all(2 <= len(likely) <= 3 for likely in costs.top_logprobs[prompt:])


def test_a_stream_tells_its_lengths_where_they_are_asked_for(server: Served) -> None:
    body = {"prompt": "春", "max_tokens": 30, "stream": True, "n": 2}
    with server.http() as http:
        plain = events_of(http.post("/v1/completions", json=body).text)
        more = {**body, "stream_options": {"include_usage": True}}
        answer = http.post("/v1/completions", json=more)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, last = events_of(answer.text)
    assert all("usage" not in event for event in plain)
    assert all(event["usage"] is None for event in events)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 1, "completion_tokens": 60, "total_tokens": 61}


def test_without_a_seed_texts_differ_and_say_theirs(server: Served, model: Generator) -> None:
    with server.http() as http:
        answer = http.post("/v1/completions", json={"prompt": ["", ""], "max_tokens": 30}).json()
    first, second = answer["choices"]
    assert first["seed"] != second["seed"]
    for choice in (first, second):
        assert model.generate(length=30, seed=choice["seed"]) == [choice["text"]]


def test_the_run_is_described(server: Served, model: Generator) -> None:
    with server.client() as client:
        (entry,) = client.models.list().data
        one = client.models.retrieve(RUN)
        with pytest.raises(openai.NotFoundError) as error:
            client.models.retrieve("other")
    config = model.loaded.config.model
    assert entry == one
    assert (one.id, one.object, one.owned_by) == (RUN, "model", "chargen")
    facts = one.model_extra or {}
    assert (facts["cell"], facts["vocab_size"]) == (config.cell, config.vocab_size)
    assert "qijue" in facts["forms"]
    assert facts["labels"] == {}
    assert error.value.code == "model_not_found"
