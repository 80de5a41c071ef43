"""Work beside the engine, and bodies that don't end: all of it ends in time, one at a time."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

import chargen
from chargen.generation.generator import Generator
from chargen.serving import bodies
from chargen.serving.server import Server
from chargen.serving.threads import in_thread
from tests.serving.test_access import server_of
from tests.serving.test_clients import wait_until
from tests.support import train_tiny

COMPLETIONS = "/v1/completions"


def all_of(
    server: Server, *bodies: dict[str, Any], path: str = COMPLETIONS
) -> list[httpx.Response]:
    """The answers to requests that come at once, when the first run is loaded."""

    async def asked() -> list[httpx.Response]:
        transport = httpx.ASGITransport(server.config.app, raise_app_exceptions=False)
        async with server._models.using(None):
            pass
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            posts = [client.post(path, json=body, timeout=30) for body in bodies]
            return await asyncio.wait_for(asyncio.gather(*posts), 30)

    answers = asyncio.run(asked())
    server._models.stop()
    assert server._admission.taken == 0
    return answers


class Held:
    """A method of a generator that takes until it is let go."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str) -> None:
        self.calls, self._go = 0, Event()
        real: Callable[..., Any] = getattr(Generator, name)

        def held(generator: Generator, *arguments: Any, **options: Any) -> Any:
            self.calls += 1
            self._go.wait(20)
            return real(generator, *arguments, **options)

        patch.setattr(Generator, name, held)

    def let_go(self) -> None:
        self._go.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Held]]:
    made: list[Held] = []

    def hold(name: str) -> Held:
        made.append(Held(monkeypatch, name))
        return made[-1]

    yield hold
    for each in made:
        each.let_go()


def test_prompts_are_scored_in_time_and_one_at_a_time(
    trained: Path, held: Callable[[str], Held]
) -> None:
    scoring = held("score_characters")
    server = server_of(trained, request_timeout=0.5)
    body = {"prompt": ["春", "夜"], "echo": True, "logprobs": 0, "max_tokens": 0}
    answers = all_of(server, body, body, body)
    assert [answer.status_code for answer in answers] == [504] * 3
    assert scoring.calls == 1


def test_gaps_are_filled_in_time_and_one_at_a_time(here: Path, held: Callable[[str], Held]) -> None:
    records = here / "lines.txt"
    records.write_text("春眠不觉晓，处处闻啼鸟\n夜来风雨声，花落知多少\n" * 20, "utf-8")
    run = train_tiny(records, here, task="infill", max_steps=3).path
    filling = held("infill_lines")
    server = server_of(run, request_timeout=0.5)
    body = {"prompt": "春眠", "suffix": "晓", "max_tokens": 2}
    answers = all_of(server, body, body, body)
    assert [answer.status_code for answer in answers] == [504] * 3
    assert filling.calls == 1
    # The others didn't wait in threads, where they would be filled for nobody.
    wait_until(lambda: sum(each.name == "work" for each in threading.enumerate()) == 1)


def test_embeddings_wait_for_their_turn_before_they_take_a_run(
    trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(trained, here / "other")
    real = Generator.embed

    def slow(generator: Generator, *arguments: Any, **options: Any) -> Any:
        time.sleep(0.1)
        return real(generator, *arguments, **options)

    monkeypatch.setattr(Generator, "embed", slow)
    server = server_of(trained, more=[other], loaded_runs=1)
    bodies = [{"model": name, "input": "春"} for name in (trained.name, "other")]
    answers = all_of(server, *bodies, path="/v1/embeddings")
    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_turn_ends_with_its_thread_and_whoever_leaves_the_line_has_none() -> None:
    async def main() -> None:
        turn, go, begun = asyncio.Lock(), Event(), list[str]()

        def work(name: str) -> str:
            begun.append(name)
            go.wait(20)
            return name

        first, second, third = (
            asyncio.create_task(in_thread(lambda n=name: work(n), turn))  # type: ignore[misc]
            for name in ("first", "second", "third")
        )
        while not begun:
            await asyncio.sleep(0)
        for each in (first, second):
            each.cancel()
        await asyncio.wait([first, second])
        assert turn.locked()  # nobody waits for the first, but its thread goes on
        go.set()
        assert await third == "third"
        assert begun == ["first", "third"]
        assert not turn.locked()

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("declared", [True, False])
def test_a_large_body_that_drips_gives_its_place_back(
    trained: Path, monkeypatch: pytest.MonkeyPatch, declared: bool
) -> None:
    monkeypatch.setattr(bodies, "_SECONDS", 0.2)
    server = server_of(trained, max_body=1024)

    async def dripping() -> AsyncIterator[bytes]:
        yield b" " * (1 if declared else 2000)
        while True:
            await asyncio.sleep(0.01)
            yield b" "

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(server.config.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"content-type": "application/json"}
            if declared:
                headers["content-length"] = "9999999"
            post = client.post(COMPLETIONS, content=dripping(), headers=headers, timeout=30)
            return await asyncio.wait_for(post, 10)

    assert asyncio.run(asked()).status_code in (408, 413)
    assert server._admission.taken == 0


def test_costs_of_an_echoed_prompt_are_those_with_its_labels(here: Path) -> None:
    verses = [{"text": t, "mood": m} for t, m in (("晴天好去看花", "glad"), ("夜雨凉灯影", "sad"))]
    lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in verses * 30)
    (here / "verses.jsonl").write_text(lines, "utf-8")
    corpus = chargen.prepare(here / "verses.jsonl", here / "verses", label_key=["mood"])
    run = train_tiny(corpus, here, max_steps=60, lr=2e-2, ngram=0).path
    server = server_of(run)
    more = {"label": {"mood": "sad"}, "logprobs": 0, "seed": 1}
    (wanted,) = all_of(server, {**more, "max_tokens": 20})
    drawn = wanted.json()["choices"][0]
    echo = {"prompt": drawn["text"], "echo": True, "max_tokens": 0}
    whole, plain = all_of(server_of(run), {**more, **echo}, {**echo, "logprobs": 0})
    found, other = (each.json()["choices"][0]["logprobs"] for each in (whole, plain))
    costs = drawn["logprobs"]["token_logprobs"]
    assert found["token_logprobs"] == pytest.approx(costs, abs=1e-4)
    assert found["token_logprobs"][0] > other["token_logprobs"][0] + 0.1


def test_a_run_that_answers_has_no_costs_of_its_lines(here: Path) -> None:
    pairs = here / "pairs.tsv"
    pairs.write_text("src\ttrg\n" + "春眠\t夜来\n风雨\t花鸟\n" * 20, "utf-8")
    corpus = chargen.prepare(pairs, here / "pairs", records="pairs")
    run = train_tiny(corpus, here, task="seq2seq", max_steps=3).path
    (answer,) = all_of(server_of(run), {"prompt": "春眠", "echo": True, "logprobs": 0})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "logprobs"
    assert "Leave echo or logprobs out." in error["message"]
    assert str(here) not in error["message"]
