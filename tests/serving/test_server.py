"""The server in a process of its own, asked by the official client and over plain sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargen.generation.generator import Generator, engine_of
from chargen.generation.requests import Request
from chargen.options import SamplingConfig
from tests.serving.conftest import QUEUE, SECONDS, SLOTS, Served, Starter

RUN = "run"


def texts(answer: Any) -> list[str]:
    return [choice.text for choice in sorted(answer.choices, key=lambda choice: choice.index)]


def events_of(body: str) -> list[Any]:
    """The events of a stream, which must end as every stream does."""
    assert body.endswith("data: [DONE]\n\n")
    *events, last, rest = body.split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    assert all(event.startswith("data: {") for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


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


WRONG: list[tuple[str, Any]] = [
    ("model", 3),
    ("model", ["run"]),
    ("prompt", 3),
    ("prompt", []),
    ("prompt", [1, 2]),
    ("prompt", [["春"]]),
    ("prompt", {"text": "春"}),
    ("prompt", True),
    ("prompt", "春" * 20_000),
    ("prompt", [""] * 129),
    ("prompt", "\ud800"),
    ("max_tokens", "3"),
    ("max_tokens", 3.5),
    ("max_tokens", -1),
    ("max_tokens", True),
    ("max_tokens", 10**9),
    ("max_tokens", 10**400),
    ("temperature", "hot"),
    ("temperature", -1),
    ("temperature", True),
    ("temperature", [1]),
    ("temperature", 10**400),
    ("top_p", 0),
    ("top_p", 1.5),
    ("top_k", 1.5),
    ("top_k", -1),
    ("top_k", 10**30),
    ("min_p", 1),
    ("repetition_penalty", 0),
    ("repetition_penalty", {}),
    ("loop_penalty", -1),
    ("end", "never"),
    ("n", 0),
    ("n", 129),
    ("n", 1.0),
    ("n", "1"),
    ("stop", 3),
    ("stop", [3]),
    ("stop", ""),
    ("stop", ["a"] * 17),
    ("stop", "a" * 300),
    ("stop", "\ud800"),
    ("seed", -1),
    ("seed", 2**64),
    ("seed", 1.5),
    ("seed", "1"),
    ("stream", 1),
    ("stream", "true"),
    ("stream_options", 3),
    ("stream_options", {"include_usage": True}),
    ("logprobs", 21),
    ("logprobs", -1),
    ("logprobs", True),
    ("echo", "yes"),
    ("suffix", "。"),
    ("suffix", 3),
    ("best_of", 2),
    ("frequency_penalty", 1),
    ("logit_bias", {"50256": -100}),
    ("user", 3),
    ("form", "sonnet"),
    ("form", 3),
    ("form", ["qijue"]),
    ("form", {}),
    ("form", {"name": "qijue", "acrostic": "春夏秋冬春夏"}),
    ("form", {"name": "lines", "lines": 200, "characters": 100}),
    ("label", "author=nobody"),
    ("label", {"author": {"nobody": 1}}),
    ("label", 3),
    ("label", [3]),
    ("label", "\ud800=x"),
    ("tempature", 1),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: repr(value)[:20])
def test_a_wrong_value_is_refused_by_name(server: Served, field: str, value: Any) -> None:
    body = {"prompt": "春", "max_tokens": 3, field: value}
    with server.http() as http:
        answer = http.post(
            "/v1/completions",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == field
    assert error["message"]


def test_an_unknown_run_is_not_found(server: Served) -> None:
    with server.client() as client, pytest.raises(openai.NotFoundError) as error:
        client.completions.create(model="../run", prompt="春")
    assert error.value.param == "model"


BODIES = [b"", b"[]", b"{", b'"a"', b"\xff", b'{"seed": NaN}', b"[" * 100_000, b'{"a":' * 5000]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:8]))
def test_what_is_no_json_object_is_refused(server: Served, body: bytes) -> None:
    with server.http() as http:
        kind = {"content-type": "application/json"}
        answer = http.post("/v1/completions", content=body, headers=kind)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = sorted({field for field, _ in WRONG} | {"stream", "echo"})
SENSIBLE = st.fixed_dictionaries(
    {"max_tokens": st.integers(-1, 5)},
    optional={
        "prompt": st.text(max_size=10) | st.lists(st.text(max_size=4), max_size=4),
        "temperature": st.floats(0, 3),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(0, 5000),
        "n": st.integers(1, 4),
        "stop": st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=3),
        "seed": st.integers(0, 2**64 - 1),
        "logprobs": st.integers(0, 20),
        "stream": st.booleans(),
        "echo": st.booleans(),
        "form": st.sampled_from(["wujue", "couplet", {"name": "lines", "lines": 2}]),
    },
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SENSIBLE, st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=2))
def test_any_body_is_answered_or_refused(
    server: Served, sensible: dict[str, Any], odd: dict[str, Any]
) -> None:
    body = {**sensible, **odd}
    with server.http() as http:
        kind = {"content-type": "application/json"}
        answer = http.post("/v1/completions", content=json.dumps(body), headers=kind)
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["type"] == "invalid_request_error"
    elif body.get("stream"):
        events = events_of(answer.text)
        assert all("error" not in event for event in events)
    else:
        assert answer.json()["object"] == "text_completion"


def raw(server: Served, data: bytes) -> tuple[int, Any]:
    """The status and the JSON of an answer to bytes."""
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LAYERS = {
    "no HTTP": (b"nonsense\r\n\r\n", 400),
    "no end of the headers": (b"GET / HTTP/1.1\r\nx: " + b"a" * 200_000, 431),
    "large headers": (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: " + b"a" * 40_000 + b"\r\n\r\n",
        431,
    ),
    "another name": (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    "no name": (b"GET /health HTTP/1.0\r\n\r\n", 421),
    "a large body": (HEAD + b"Content-Length: 9999999\r\n\r\n", 413),
    "a large body in chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n200000\r\n" + b"a" * 0x200000 + b"\r\n",
        413,
    ),
    "another kind of body": (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 2\r\n\r\n{}",
        415,
    ),
}


@pytest.mark.parametrize("what", LAYERS)
def test_every_layer_refuses_in_the_same_shape(server: Served, what: str) -> None:
    data, want = LAYERS[what]
    status, body = raw(server, data)
    assert status == want
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"] == "invalid_request_error"


def test_unknown_paths_and_methods_are_refused_in_the_same_shape(server: Served) -> None:
    with server.http() as http:
        missing, wrong = http.get("/v2"), http.delete("/v1/models")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_until_idle(server: Served) -> dict[str, float]:
    found: dict[str, float] = {}

    def idle() -> bool:
        found.update(server.metrics())
        return not found["chargen_running"] and not found["chargen_slots_busy"]

    wait_until(idle)
    return found


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_frees_its_slots(server: Served, stream: bool) -> None:
    before = wait_until_idle(server)
    body = {"n": SLOTS, "max_tokens": 4096, "temperature": 2, "stream": stream}
    with server.http() as http:
        if stream:
            with http.stream("POST", "/v1/completions", json=body) as answer:
                next(answer.iter_raw())
        else:
            with pytest.raises(httpx.ReadTimeout):
                http.post("/v1/completions", json=body, timeout=0.3)
    after = wait_until_idle(server)
    gone = 'chargen_requests_total{outcome="disconnected"}'
    assert after[gone] == before.get(gone, 0) + 1
    written = after["chargen_characters_total"] - before["chargen_characters_total"]
    assert written < SLOTS * 4096 / 2


def test_200_clients_at_once(server: Served, model: Generator) -> None:
    """Each gets its own text whole, or 429: none is lost, mixed up or doubled."""
    wait_until_idle(server)
    length = 150

    async def ask(http: httpx.AsyncClient, n: int) -> httpx.Response:
        body = {"prompt": "春夜花鸟"[n % 4], "max_tokens": length, "seed": n, "stream": n % 2 == 1}
        return await http.post("/v1/completions", json=body)

    async def all_of_them() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=server.address, timeout=SECONDS, limits=limits, verify=False
        ) as http:
            return await asyncio.gather(*(ask(http, n) for n in range(200)))

    answers = asyncio.run(all_of_them())
    refused = [answer for answer in answers if answer.status_code != 200]
    for answer in refused:
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["type"] == "rate_limit_error"
    assert refused
    assert len(answers) - len(refused) >= SLOTS + QUEUE
    served = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    config = SamplingConfig(length=length)
    requests = [Request("春夜花鸟"[n % 4], config, n) for n in served]
    results = engine_of(model).generate(requests)
    want = {served[result.index]: result.text for result in results}
    ids = set()
    for n, answer in enumerate(answers):
        if answer.status_code != 200:
            continue
        parts = events_of(answer.text) if n % 2 else [answer.json()]
        ids.add(parts[0]["id"])
        text = "".join(choice["text"] for part in parts for choice in part["choices"])
        assert text == want[n]
    assert len(ids) == len(answers) - len(refused)
    wait_until_idle(server)


def test_the_client_tries_again_when_it_was_refused(server: Served) -> None:
    wait_until_idle(server)
    body = {"n": SLOTS + QUEUE, "max_tokens": 4096, "stream": True}
    with server.http() as http, server.client(retries=5) as patient, server.client() as hasty:
        request = http.build_request("POST", "/v1/completions", json=body)
        taking_all = http.send(request, stream=True)
        with pytest.raises(openai.RateLimitError) as error:
            hasty.completions.create(model=RUN, prompt="春", max_tokens=3)
        assert error.value.code == "queue_full"
        closing = threading.Timer(0.2, taking_all.close)
        closing.start()
        assert len(texts(patient.completions.create(model=RUN, prompt="春", max_tokens=3))) == 1
        closing.join()


def test_what_runs_is_finished_after_sigterm(starter: Starter, model: Generator) -> None:
    served = starter("--slots", 2)
    body = {"prompt": "春", "max_tokens": 1500, "seed": 5, "stream": True}
    endless = {"n": 64, "max_tokens": 4096, "stream": True}  # keeps the server until it is closed
    with served.http() as http, served.http() as other, served.http() as holding:
        assert other.get("/health").json() == {"status": "ok"}
        with http.stream("POST", "/v1/completions", json=body) as answer:
            parts = answer.iter_text()
            found = next(parts)
            held = holding.send(
                holding.build_request("POST", "/v1/completions", json=endless), stream=True
            )
            served.process.terminate()
            wait_until(lambda: other.get("/health").status_code == 503)
            late = other.post("/v1/completions", json={"max_tokens": 1})
            found += "".join(parts)
        held.close()
    assert late.status_code == 503
    assert late.json()["error"]["code"] == "draining"
    assert late.headers["retry-after"]
    text = "".join(choice["text"] for event in events_of(found) for choice in event["choices"])
    assert [text] == model.generate("春", length=1500, seed=5)
    assert served.process.wait(SECONDS) == 143


def test_what_is_not_done_in_time_ends_with_an_error(starter: Starter) -> None:
    served = starter("--shutdown-timeout", 0.1, "--max-length", 1 << 20)
    body = {"max_tokens": 1 << 20, "stream": True}
    whole: list[httpx.Response] = []
    with served.http() as http, served.http() as other:
        with http.stream("POST", "/v1/completions", json=body) as answer:
            parts = answer.iter_text()
            found = next(parts)
            asking = threading.Thread(
                target=lambda: whole.append(
                    other.post("/v1/completions", json={**body, "stream": False})
                )
            )
            asking.start()
            wait_until(lambda: served.metrics()["chargen_slots_busy"] == 2)
            served.process.terminate()
            found += "".join(parts)
        asking.join(SECONDS)
    assert events_of(found)[-1]["error"]["code"] == "shutting_down"
    assert whole[0].status_code == 503
    assert served.process.wait(SECONDS) == 143
