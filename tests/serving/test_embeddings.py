"""Vectors over HTTP, by the official client, and the bound on connections."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from numpy.testing import assert_allclose
from starlette.testclient import TestClient

import chargen
from chargen.generation.generator import Generator
from chargen.options import ServeConfig
from chargen.serving.server import Listener, Server
from tests.serving.conftest import CONNECTIONS, SECONDS, Served
from tests.support import train_tiny

KIND = {"content-type": "application/json"}
TEXTS = ["春眠不觉晓", "", "夜来"]


def test_vectors_are_those_of_embed(server: Served, model: Generator) -> None:
    want = model.embed(TEXTS)
    with server.client() as client:
        for shape in ("float", "base64", None):
            more: Any = {} if shape is None else {"encoding_format": shape}
            answer = client.embeddings.create(model="run", input=TEXTS, **more)
            found = [each.embedding for each in answer.data]
            if shape == "base64":
                assert all(isinstance(each, str) for each in found)
                found = [np.frombuffer(base64.b64decode(str(each)), "<f4") for each in found]
            assert_allclose(found, want, rtol=1e-5, atol=1e-6)
            assert [each.index for each in answer.data] == [0, 1, 2]
        assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (7, 7)
        more = {"pooling": "mean", "normalize": True}
        one = client.embeddings.create(model="run", input=TEXTS[0], extra_body=more)
    same = model.embed(TEXTS[:1], pooling="mean", normalize=True)
    assert_allclose([one.data[0].embedding], same, rtol=1e-5, atol=1e-6)


WRONG: list[tuple[str, Any]] = [
    ("input", None),
    ("input", []),
    ("input", [1, 2]),
    ("input", ["a"] * 129),
    ("input", "春" * 20_000),
    ("input", "\ud800"),
    ("model", 3),
    ("encoding_format", "hex"),
    ("encoding_format", {}),
    ("dimensions", 7),
    ("dimensions", True),
    ("pooling", "most"),
    ("normalize", 1),
    ("inputs", "a"),
]


def test_a_wrong_value_is_refused_by_name(server: Served) -> None:
    with server.http() as http:
        for field, value in WRONG:
            body = json.dumps({"input": "春", field: value})
            answer = http.post("/v1/embeddings", content=body, headers=KIND)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), field
    with server.client() as client, pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="other", input="春")


WRONG_WITH_SUFFIX: list[tuple[str, Any]] = [
    ("max_tokens", None),
    ("stop", "。"),
    ("top_k", 3),
    ("form", "qijue"),
    ("suffix", 3),
    ("prompt", "春□"),
]
SILENT = Listener(*[lambda _about: None] * 4)


def wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def served_here(run: Path) -> Iterator[TestClient]:
    """A server in this process: the application is what is tested, not its socket."""
    config = ServeConfig(insecure=True)
    server = Server(config, [run], None, lambda path: chargen.load(path, device="cpu"), SILENT)
    with TestClient(server.config.app, base_url="http://localhost") as http:
        wait_for(lambda: http.get("/health").status_code == 200)
        yield http


def test_a_classifier_embeds_and_writes_nothing(here: Path) -> None:
    records = here / "poems.tsv"
    lines = [f"春眠{n % 7}不觉晓\ta\n夜来{n % 5}风雨\tb" for n in range(40)]
    records.write_text("text\tlabel\n" + "\n".join(lines) + "\n", "utf-8")
    corpus = chargen.prepare(records, here / "poems", label_key=("label",))
    run = train_tiny(corpus, here, task="classify", max_steps=3).path
    with served_here(run) as http:
        found = http.post("/v1/embeddings", json={"input": "春眠"}).json()
        refused = http.post("/v1/completions", json={"prompt": "春"})
    want = chargen.load(run, device="cpu").embed(["春眠"])
    assert_allclose([found["data"][0]["embedding"]], want, rtol=1e-5, atol=1e-6)
    assert refused.status_code == 400
    assert "classify, and writes no texts" in refused.json()["error"]["message"]


def test_a_run_that_fills_gaps_fills_them_before_a_suffix(here: Path) -> None:
    records = here / "lines.txt"
    records.write_text("春眠不觉晓，处处闻啼鸟\n夜来风雨声，花落知多少\n" * 20, "utf-8")
    run = train_tiny(records, here, task="infill", max_steps=3).path
    model = chargen.load(run, device="cpu")
    with served_here(run) as http:
        body = {"prompt": "春眠", "suffix": "晓", "max_tokens": 2, "seed": 5, "n": 2}
        whole = http.post("/v1/completions", json=body).json()
        stream = http.post("/v1/completions", json={**body, "stream": True}).text
        greedy = http.post("/v1/completions", json={**body, "temperature": 0}).json()
        wrong = {
            field: http.post("/v1/completions", json={**body, field: value})
            for field, value in WRONG_WITH_SUFFIX
        }
        without = http.post("/v1/completions", json={"prompt": "春眠", "max_tokens": 2})
    want = [
        next(model.infill_lines(["春眠□□晓"], seed=choice["seed"], temperature=0.8))[0].filled
        for choice in whole["choices"]
    ]
    assert [choice["text"] for choice in whole["choices"]] == want
    assert [json.loads(each[6:])["choices"][0]["text"] for each in stream.split("\n\n")[:2]] == want
    best = next(model.infill_lines(["春眠□□晓"]))[0].filled
    assert [choice["text"] for choice in greedy["choices"]] == [best, best]
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    for field, answer in wrong.items():
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), field
    assert (without.status_code, without.json()["error"]["param"]) == (400, "model")


def test_a_connection_too_many_is_refused_and_never_hangs(server: Served) -> None:
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    held = [
        socket.create_connection((host, int(port)), timeout=SECONDS) for _ in range(CONNECTIONS)
    ]
    statuses = []
    for each in held:  # answered, so that all of them are known to be there
        each.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        statuses.append(each.recv(1 << 16).split()[1])
    assert statuses.count(b"200") > CONNECTIONS - 9  # others may end late
    with server.http() as http:
        answer = http.get("/health")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "too_many_connections"
    assert answer.headers["retry-after"] == "1"
    for each in held:
        each.close()
    with server.client(retries=5) as client:
        assert client.models.list().data
