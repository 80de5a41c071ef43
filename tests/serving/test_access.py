"""Who may use the server, and what every answer says to a browser."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

import httpx
import pytest

import chargen
from chargen import api
from chargen.errors import ConfigError, GenerationError, MissingExtraError
from chargen.options import ServeConfig
from chargen.serving.exchange import Exchange
from chargen.serving.guard import Guard, host_in
from chargen.serving.logs import line_of
from chargen.serving.metrics import Metrics
from chargen.serving.server import Listener, Server
from tests.support import the_error

LOAD = partial(chargen.load, device="cpu")


def nothing(_about: object) -> None:
    pass


def server_of(
    run: Path,
    on_bug: Callable[[BaseException], None] = nothing,
    more: Sequence[Path] = (),
    load: Callable[[Path], chargen.Generator] = LOAD,
    **options: Any,
) -> Server:
    """A server that isn't started, but takes requests."""
    listener = Listener(nothing, nothing, nothing, on_bug)
    made = Server(ServeConfig(**options), [run, *more], None, load, listener)
    made._status.loading = False
    return made


def ask(app: Any, method: str = "GET", path: str = "/v1/models", **more: Any) -> httpx.Response:
    """The answer of an application in this process."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **more)

    return asyncio.run(asked())


def app_of(run: Path, **options: Any) -> Any:
    return server_of(run, **options).config.app


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer secret"}, 200),
        ({"authorization": "bearer  secret"}, 200),
        ({"authorization": "Bearer secre"}, 401),
        ({"authorization": "Bearer secrets"}, 401),
        ({"authorization": "Basic secret"}, 401),
        ({"authorization": "secret"}, 401),
        ({"authorization": b"Bearer \xff\xfe"}, 401),
    ],
    ids=str,
)
def test_a_key_is_wanted_where_there_is_one(trained: Path, given: Any, status: int) -> None:
    app = app_of(trained, api_key="secret")
    answer = ask(app, headers=given)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert ask(app, path="/health").status_code == 200
    assert ask(app, path="/metrics", headers=given).status_code == status


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "localhost.", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3",
     "a.localhost", "box.lan:8000", "Named"],
)  # fmt: skip
def test_its_own_names_and_addresses_are_answered(trained: Path, host: str) -> None:
    app = app_of(trained, host="box.lan", insecure=True, allow_host=("named",))
    assert ask(app, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "",
     "localhost:x", "[::1", "[::1]evil", "evillocalhost", "box.lan.evil", "127.1.evil"],
)  # fmt: skip
def test_a_name_that_points_here_is_refused(trained: Path, host: str) -> None:
    app = app_of(trained, host="box.lan", insecure=True)
    answer = ask(app, path="/health", headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "unknown_host"


def test_a_host_is_read_without_its_port() -> None:
    assert host_in("[2001:DB8::1]:80") == "2001:db8::1"
    assert host_in("A.example:1") == "a.example"
    assert host_in("a:b") is None


def test_pages_of_other_origins_get_nothing_unless_they_are_allowed(trained: Path) -> None:
    page = {"origin": "https://page.example"}
    asking = {**page, "access-control-request-method": "POST"}
    closed = app_of(trained)
    assert "access-control-allow-origin" not in ask(closed, headers=page).headers
    refused = ask(closed, "OPTIONS", "/v1/completions", headers=asking)
    assert refused.status_code == 405
    assert "access-control-allow-origin" not in refused.headers
    open_ = app_of(trained, cors_origin=("https://page.example",), api_key="secret")
    answer = ask(open_, "OPTIONS", "/v1/completions", headers=asking)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    answer = ask(open_, headers=page)
    assert (answer.status_code, answer.headers["vary"]) == (401, "origin")
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    other = {**asking, "origin": "https://other.example"}
    answer = ask(open_, "OPTIONS", "/v1/completions", headers=other)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nope", "/v1/completions", "/metrics"])
def test_every_answer_forbids_what_a_page_does_not_need(trained: Path, path: str) -> None:
    headers = ask(app_of(trained), path=path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_nothing_is_taken_while_the_first_run_is_loaded_or_at_the_end(trained: Path) -> None:
    server = server_of(trained)
    for name in ("loading", "draining"):
        server._status.loading, server._status.draining = True, name == "draining"
        for method, path in (("GET", "/health"), ("POST", "/v1/completions")):
            answer = ask(server.config.app, method, path, json={})
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert name in answer.text


def test_a_bug_is_said_to_the_log_and_not_to_the_client() -> None:
    async def broken(*_: Any) -> None:
        raise LookupError("a secret")

    found: list[Exception] = []
    logged: list[str] = []

    def log(exchange: Exchange) -> None:
        logged.append(line_of(exchange, "json"))

    metrics = Metrics()
    answer = ask(Guard(broken, ServeConfig(), metrics, log, found.append))
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" not in answer.text
    assert [str(error) for error in found] == ["'a secret'"] or str(found[0]) == "a secret"
    assert '"status": 500' in logged[0]
    assert b'chargen_requests_total{outcome="failed"} 1.0' in metrics.report()


def test_every_endpoint_s_errors_have_one_shape(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[BaseException] = []
    server = server_of(trained, found.append)
    for error, status in ((LookupError("a secret"), 500), (GenerationError("No.", "Do."), 400)):

        async def fail(raised: Exception = error) -> None:
            raise raised

        monkeypatch.setattr(server._models, "describe_all", fail)
        answer = ask(server.config.app)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.json()["error"]["message"] != "a secret"
    assert answer.json()["error"]["message"] == "No. Do."
    assert [type(error) for error in found] == [LookupError]


def test_more_texts_than_there_can_ever_be_are_refused_for_good(trained: Path) -> None:
    server = server_of(trained, slots=1, queue=0)
    answers = [
        ask(server.config.app, "POST", "/v1/completions", json={"n": n, "max_tokens": 1})
        for n in (2, 1)
    ]
    server._models.stop()
    assert [answer.status_code for answer in answers] == [400, 200]
    assert answers[0].json()["error"]["param"] == "n"


@pytest.mark.parametrize("stream", [False, True])
def test_what_takes_too_long_ends(trained: Path, stream: bool) -> None:
    model = chargen.load(trained, device="cpu")  # which may take longer on a busy machine
    server = server_of(trained, load=lambda _: model, request_timeout=0.5, max_length=1 << 20)
    body = {"max_tokens": 1 << 20, "stream": stream}
    answer = ask(server.config.app, "POST", "/v1/completions", json=body)
    server._models.stop()
    assert server._admission.taken == 0
    if stream:
        *_, last, end, _rest = answer.text.split("\n\n")
        assert end == "data: [DONE]"
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "timeout"
    else:
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "timeout"


def test_a_line_of_the_log_stays_a_line() -> None:
    scope = {"method": "GET", "path": "/\n\x1b[31m", "client": ("127.0.0.1", 1)}
    line = line_of(Exchange(scope, status=404), "plain")
    assert line.isprintable()
    assert '"GET /' in line
    assert "404" in line


def test_others_are_not_served_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHARGEN_API_KEY", raising=False)
    for host in ("0.0.0.0", "::", "192.168.0.1", "box.lan"):
        assert ServeConfig(host=host).problems()
        assert not ServeConfig(host=host, insecure=True).problems()
        assert not ServeConfig(host=host, api_key="secret").problems()
    for host in ("127.0.0.1", "::1", "localhost"):
        assert not ServeConfig(host=host).problems()
    error = the_error("serve", "--host", "0.0.0.0", status=2)
    assert "--api-key" in error
    assert "--insecure" in error
    monkeypatch.setenv("CHARGEN_API_KEY", "secret")
    assert "no run" in the_error("serve", "nope", "--host", "0.0.0.0")


@pytest.mark.parametrize(
    "option",
    [("--port", 70000), ("--slots", 0), ("--cors-origin", "page.example"), ("--access-log", "xml"),
     ("--api-key", "a b"), ("--cors-origin", "https://page.example/path")],
    ids=str,
)  # fmt: skip
def test_options_that_can_not_be_are_refused(option: tuple[str, object]) -> None:
    assert option[0] in the_error("serve", *option, status=2)


def test_a_port_in_use_is_an_error(trained: Path) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(ConfigError, match="can't be listened on"):
        api.serve([trained], port=taken.getsockname()[1])


def server_that_loads(trained: Path, tmp_path: Path, until: Event, **options: Any) -> Server:
    """A server whose run ``other`` is loading ``until`` something happens."""
    shutil.copytree(trained, tmp_path / "other")
    server = server_of(trained, more=[tmp_path / "other"], **options)
    server._models._load = lambda _path: until.wait()
    return server


SLOW = {
    "/v1/completions": {"model": "other", "prompt": "春", "max_tokens": 3},
    "/v1/embeddings": {"model": "other", "input": "春"},
}


@pytest.mark.parametrize("path", SLOW)
def test_the_time_of_a_request_includes_that_of_loading_its_run(
    trained: Path, tmp_path: Path, path: str
) -> None:
    loaded = Event()
    server = server_that_loads(trained, tmp_path, loaded, request_timeout=0.2)
    answer = ask(server.config.app, "POST", path, json=SLOW[path])
    loaded.set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


@pytest.mark.parametrize("path", SLOW)
def test_who_hangs_up_while_a_run_is_loaded_is_gone(
    trained: Path, tmp_path: Path, path: str
) -> None:
    loaded, sent = Event(), []
    server = server_that_loads(trained, tmp_path, loaded)
    messages = iter([{"type": "http.request", "body": json.dumps(SLOW[path]).encode()}])
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(server.config.app({**scope, "query_string": b""}, receive, send))
    loaded.set()
    assert sent == []
    assert server._admission.taken == 0
    assert b'requests_total{outcome="disconnected"} 1' in server._metrics.report()


def test_garbage_is_not_looked_for_among_imports_while_runs_are_served(trained: Path) -> None:
    counts = []

    def load(_path: Path) -> NoReturn:
        counts.append(gc.get_freeze_count())
        raise GenerationError("This run is broken.", "Take another one.")

    before = gc.get_freeze_count()
    listener = Listener(nothing, nothing, nothing, nothing)
    with pytest.raises(GenerationError, match="broken"):
        Server(ServeConfig(port=0), [trained], None, load, listener).serve_until_told()
    assert counts[0] > before + 50_000
    assert gc.get_freeze_count() == 0


def test_the_extra_is_named_where_it_is_missing(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(MissingExtraError, match="starlette"):
        api.serve([trained])
