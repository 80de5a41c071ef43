"""The speed of the server, as a share of its engine's own, and of the plainest server's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from chargen.bench.timing import alternate
from chargen.errors import ConfigError, GenerationError
from chargen.generation.generator import Generator, engine_of
from chargen.generation.requests import Request
from chargen.machine.processor import processor_name
from chargen.options import SamplingConfig
from chargen.runs.folder import RunFolder

CLIENTS = (1, 16, 64, 256)
_TEMPERATURE = 1.0
_START = 120.0
"""Seconds that a server may take to start."""
_PLAIN_TEXTS = 4
"""Texts per round that the plainest server is asked for: it writes them one after the other."""


@dataclass(frozen=True)
class ServeRow:
    """The speed with a number of clients.

    Attributes:
        clients: that ask at once, for a streamed text each.
        chars_per_second: of all of them together, the median of the rounds.
        first_character: seconds to it, the median of clients and rounds.
        slowest_first_character: seconds to it, of the client that waits longest in a round.
        against_engine: the speed relative to the engine alone, with as many slots.
        against_plain: the speed relative to the plainest server.
    """

    clients: int
    chars_per_second: float
    first_character: float
    slowest_first_character: float
    against_engine: float
    against_plain: float


@dataclass(frozen=True)
class ServeReport:
    """The results of ``chargen bench serve``, and the conditions."""

    machine: str
    threads: int
    torch: str
    run: str
    cell: str
    hidden_size: int
    vocab_size: int
    length: int
    rounds: int
    rows: tuple[ServeRow, ...]


def bench_serve(
    run: Path,
    *,
    clients: Sequence[int] = CLIENTS,
    length: int = 200,
    rounds: int = 5,
    threads: int = 0,
) -> ServeReport:
    """Measure on the CPU, the servers as processes of their own.

    Args:
        run: a run folder.
        clients: how many ask at once, in turn.
        length: characters of each text.
        rounds: timed rounds.
        threads: of the engine, here and in the servers; 0: torch's number.

    Raises:
        ConfigError: a number is below 1.
    """
    if min((length, rounds, *clients), default=0) < 1:
        raise ConfigError(
            "`clients`, `length` and `rounds` must be at least 1.", "Use larger ones."
        )
    generator = Generator(run, RunFolder(run).load_model())
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(_server(partial(_ours, run, max(clients), length, threads)))
        plain = stack.enter_context(_server(partial(_plainest, run, threads)))
        rows = tuple(_row(generator, served, plain, n, length, rounds) for n in clients)
    config = generator.loaded.config.model
    return ServeReport(
        machine=processor_name(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        run=run.name,
        cell=config.cell,
        hidden_size=config.hidden_size,
        vocab_size=config.vocab_size,
        length=length,
        rounds=rounds,
        rows=rows,
    )


def _row(
    generator: Generator, served: int, plain: int, clients: int, length: int, rounds: int
) -> ServeRow:
    engine = engine_of(generator, slots=clients)
    config = SamplingConfig(length=length, temperature=_TEMPERATURE)
    requests = [Request("", config, seed) for seed in range(clients)]
    firsts: list[list[float]] = []

    def alone() -> None:
        for _ in engine.generate(requests):
            pass

    def through_the_server() -> None:
        firsts.append(asyncio.run(_ask_all(served, clients, length)))

    def through_the_plainest() -> None:
        for seed in range(_PLAIN_TEXTS):
            asyncio.run(_ask(plain, seed, length, stream=False))

    timings = alternate(
        {"engine": alone, "server": through_the_server, "plain": through_the_plainest}, rounds
    )
    return ServeRow(
        clients=clients,
        chars_per_second=clients * length / timings.median("server"),
        first_character=statistics.median(x for each in firsts[1:] for x in each),
        slowest_first_character=statistics.median(max(each) for each in firsts[1:]),
        against_engine=timings.ratio("engine", "server"),
        against_plain=timings.ratio("plain", "server") * clients / _PLAIN_TEXTS,
    )


async def _ask_all(port: int, clients: int, length: int) -> list[float]:
    """Ask for a text each; the seconds to each first character."""
    asking = (_ask(port, seed, length, stream=True) for seed in range(clients))
    return list(await asyncio.gather(*asking))


async def _ask(port: int, seed: int, length: int, *, stream: bool) -> float:
    """Ask for one text, and return the seconds to its first character.

    Raises:
        GenerationError: the answer is not such a text.
    """
    asked = {"prompt": "", "max_tokens": length, "seed": seed, "temperature": _TEMPERATURE}
    body = json.dumps({**asked, "stream": True} if stream else asked).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body)
    parts, first = [], 0.0
    while part := await reader.read(1 << 16):
        if not first and b'"text"' in part:
            first = time.perf_counter() - start
        parts.append(part)
    writer.close()
    answer = b"".join(parts)
    if not first or (stream and b"data: [DONE]" not in answer):
        raise GenerationError("The server gave no text.", f"It answered {answer[:200]!r}.")
    return first


def _ours(run: Path, slots: int, length: int, threads: int, port: int) -> list[str]:
    """The command that serves a run."""
    options = {
        "runs": [str(run)],
        "port": port,
        "slots": slots,
        "max_length": length,
        "threads": threads,
        "device": "cpu",
        "access_log": "none",
    }
    code = "import json, sys; from chargen import api; api.serve(**json.loads(sys.argv[1]))"
    return ["-c", code, json.dumps(options)]


def _plainest(run: Path, threads: int, port: int) -> list[str]:
    """The command of the plainest server."""
    return ["-m", "chargen.bench.plain_server", str(run), str(port), str(threads)]


@contextlib.contextmanager
def _server(command: Callable[[int], list[str]]) -> Iterator[int]:
    """A server as a process of its own; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    without_key = {**os.environ, "CHARGEN_API_KEY": ""}
    with subprocess.Popen([sys.executable, *command(port)], env=without_key) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers.

    Raises:
        GenerationError: it has ended, or doesn't come.
    """
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        try:
            asyncio.run(_ask(port, 0, 1, stream=False))
            return
        except (OSError, GenerationError):
            time.sleep(0.1)
    raise GenerationError("A server doesn't start.", "Its messages are above.")
