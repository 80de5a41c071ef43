"""Clients that hang up, come all at once, or are there when the server ends."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable

import httpx
import openai
import pytest

from chargen.generation.generator import Generator, engine_of
from chargen.generation.requests import Request
from chargen.options import SamplingConfig
from tests.serving.conftest import QUEUE, SECONDS, SLOTS, Served, Starter, events_of, texts

RUN = "run"


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
                http.post("/v1/completions", json=body, timeout=0.1)
    after = wait_until_idle(server)
    gone = 'chargen_requests_total{outcome="disconnected"}'
    assert after[gone] == before.get(gone, 0) + 1
    written = after["chargen_characters_total"] - before["chargen_characters_total"]
    assert written < SLOTS * 4096


def pipelined(*bodies: dict[str, object]) -> bytes:
    """Requests that are sent without waiting for answers."""
    parts = []
    for body in bodies:
        data = json.dumps(body).encode()
        parts.append(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)
        )
    return b"".join(parts)


def test_requests_in_a_row_are_answered_in_turn(server: Served, model: Generator) -> None:
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    bodies = ({"max_tokens": 40, "seed": 1}, {"max_tokens": 2, "seed": 2})
    want = [model.generate(length=40, seed=1)[0], model.generate(length=2, seed=2)[0]]
    found = b""
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n" + pipelined(*bodies))
        while found.count(b'"usage"') < 2:
            found += connection.recv(1 << 16)
    head, *answers = found.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert head.endswith(b"\r\n\r\n")
    answered = [json.loads(each.partition(b"\r\n\r\n")[2]) for each in answers]
    assert [each["choices"][0]["text"] for each in answered] == want


def test_a_client_with_requests_in_a_row_hangs_up(server: Served) -> None:
    wait_until_idle(server)
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        body: dict[str, object] = {"n": SLOTS, "max_tokens": 4096, "stream": True}
        connection.sendall(pipelined(body, body))
        connection.recv(1)
        before = server.metrics()
    after = wait_until_idle(server)
    written = after["chargen_characters_total"] - before["chargen_characters_total"]
    assert written < SLOTS * 4096


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
