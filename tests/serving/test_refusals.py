"""What the server refuses, by name and in one shape, whoever asks."""

from __future__ import annotations

import json
import socket
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.conftest import SECONDS, Served, events_of

RUN = "run"


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
    ("best_of", True),
    ("best_of", 1.0),
    ("frequency_penalty", 1),
    ("frequency_penalty", False),
    ("presence_penalty", []),
    ("logit_bias", {"50256": -100}),
    ("logit_bias", []),
    ("user", 3),
    ("form", "sonnet"),
    ("form", 3),
    ("form", ["qijue"]),
    ("form", {}),
    ("form", {"name": "qijue", "acrostic": "春夏秋冬春夏"}),
    ("form", {"name": "lines", "lines": 200, "characters": 100}),
    ("form", {"name": "wulv", "pattern": "_____/_____/春____/_春___"}),
    ("form", {"name": "wulv", "pattern": "_____/_____/春春___/花鸟___"}),
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


IMPOSSIBLE = {"name": "wulv", "pattern": "_____/_____/春春___/花鸟___"}


def test_a_poem_that_can_not_be_is_refused_with_its_remedy(server: Served) -> None:
    """Streamed or not: a poem that may fail is shown when it is whole."""
    for stream in (False, True):
        with server.http() as http:
            answer = http.post("/v1/completions", json={"form": IMPOSSIBLE, "stream": stream})
        error = answer.json()["error"]
        assert answer.status_code == 400
        assert (error["type"], error["param"]) == ("invalid_request_error", "form")
        assert "kept its rules in none" in error["message"]
        assert "Use `tones=lenient`, another acrostic, pattern" in error["message"]


def test_an_unknown_run_is_not_found(server: Served) -> None:
    with server.client() as client, pytest.raises(openai.NotFoundError) as error:
        client.completions.create(model="../run", prompt="春")
    assert error.value.param == "model"


NESTED = [b'{"form":{"name":' + b"[" * n + b"]" * n + b"}}" for n in (100, 900, 930, 963)]
BODIES = [b"", b"[]", b"{", b'"a"', b"\xff", b'{"seed": NaN}', b"[" * 100_000, b'{"a":' * 5000]
BODIES += NESTED


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
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LAYERS = {
    "no HTTP": (b"nonsense\r\n\r\n", 400),
    "no end of the headers": (b"GET / HTTP/1.1\r\nx: " + b"a" * 200_000, 431),
    "large headers": (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: " + b"a" * 40_000 + b"\r\n\r\n",
        431,
    ),
    "another name": (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    "no name": (b"GET /health HTTP/1.0\r\n\r\n", 421),
    "no name in HTTP/1.1": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two names": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: a.example\r\n\r\n", 400),
    "another name, and its own after the body": (
        b"POST /v1/completions HTTP/1.1\r\nHost: evil.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\nHost: localhost\r\n\r\n",
        421,
    ),
    "many small headers": (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        431,
    ),
    "no end of the trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 50_000, 431),
    "no end of a chunk's size": (CHUNKED + b"5;" + b"a" * 200_000, 431),
    "no path": (b"CONNECT a.example:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a large body": (HEAD + b"Content-Length: 9999999\r\n\r\n", 413),
    "a large body in chunks": (CHUNKED + b"200000\r\n" + b"a" * 0x200000 + b"\r\n", 413),
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
