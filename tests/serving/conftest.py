"""A server in a process of its own, and what asks it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

import chargen
from chargen.generation.generator import Generator
from tests.processes import DEVNULL, PIPE
from tests.processes import start as start_process

SLOTS, QUEUE, CONNECTIONS = 8, 64, 250
SECONDS = 60
"""After which a test that waits has failed."""


@dataclass
class Served:
    """A server: its process, its address, the lines of its log."""

    process: Any
    address: str = ""
    log: list[str] = field(default_factory=list)

    def client(self, retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.address}/v1",
            api_key="any",
            max_retries=retries,
            timeout=SECONDS,
            http_client=self.http(),
        )

    def http(self) -> httpx.Client:
        # Certificates, which there are none of here, would be read for a tenth of a second.
        return httpx.Client(base_url=self.address, timeout=SECONDS, verify=False, trust_env=False)

    def metrics(self) -> dict[str, float]:
        with self.http() as http:
            lines = http.get("/metrics").text.splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    def end(self, sig: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(SECONDS)


def start(run: Path, *flags: object) -> Served:
    """Start a server on a port that is free, and wait until it is ready."""
    process = start_process(
        *("serve", run, "--port", 0, "--threads", 1, "--device", "cpu", *flags),
        stdout=DEVNULL,
        stderr=PIPE,
        encoding="utf-8",
        env={**os.environ, "CHARGEN_API_KEY": ""},
    )
    served, ready = Served(process), threading.Event()

    def read() -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                served.log.append(line.rstrip("\n"))
                if line.startswith("Listening on "):
                    served.address = line.split()[2].rstrip(";")
                    ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    if not ready.wait(SECONDS) or not served.address:
        process.kill()
        raise AssertionError("\n".join(served.log))
    return served


Starter = Callable[..., Served]


@pytest.fixture
def starter(trained: Path) -> Iterator[Starter]:
    """Starts servers, which are ended after the test."""
    started: list[Served] = []

    def begin(*flags: object) -> Served:
        started.append(start(trained, *flags))
        return started[-1]

    yield begin
    for served in started:
        served.process.kill()
        served.process.wait(SECONDS)


@pytest.fixture(scope="session")
def server(trained: Path) -> Iterator[Served]:
    """A server for many tests, with few slots, a queue of 64 and a bound on connections."""
    bounds = ("--queue", QUEUE, "--max-choices", 128, "--max-connections", CONNECTIONS)
    served = start(trained, "--slots", SLOTS, *bounds)
    yield served
    served.process.kill()
    served.process.wait(SECONDS)
    assert "Traceback" not in "\n".join(served.log)


@pytest.fixture(scope="session")
def model(trained: Path) -> Generator:
    """The same run in this process."""
    return chargen.load(trained, device="cpu")


def texts(answer: Any) -> list[str]:
    return [choice.text for choice in sorted(answer.choices, key=lambda choice: choice.index)]


def events_of(body: str) -> list[Any]:
    """The events of a stream, which must end as every stream does."""
    assert body.endswith("data: [DONE]\n\n")
    *events, last, rest = body.split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    assert all(event.startswith("data: {") for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]
