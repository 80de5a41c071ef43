"""The speed of the server, as a share of its engine's own, and of the plainest server's."""

from __future__ import annotations

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

from chargen.bench.clients import Answer, ask, ask_for_one
from chargen.bench.timing import alternate
from chargen.errors import ConfigError, GenerationError
from chargen.generation.engine import Engine
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
        clients: that ask at once, for a streamed text each, over a new connection.
        chars_per_second: of all of them together, the median of the rounds.
        first_character: seconds to it, the median of clients and rounds.
        slowest_first_character: seconds to it, of the client that waits longest in a round.
        against_engine: the speed relative to the engine alone, with as many slots.
        steady_chars_per_second: where each client asks for several texts, one after the other.
        steady_first_character: seconds to it, of all texts of a client but its first; the median.
        steady_against_engine: the speed then, relative to the engine alone with the same texts.
        against_plain: the speed of those that ask at once, relative to the plainest server.
    """

    clients: int
    chars_per_second: float
    first_character: float
    slowest_first_character: float
    against_engine: float
    steady_chars_per_second: float
    steady_first_character: float
    steady_against_engine: float
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
    requests: int
    rounds: int
    rows: tuple[ServeRow, ...]


def bench_serve(
    run: Path,
    *,
    clients: Sequence[int] = CLIENTS,
    length: int = 200,
    requests: int = 4,
    rounds: int = 5,
    threads: int = 0,
) -> ServeReport:
    """Measure on the CPU, the servers as processes of their own.

    Args:
        run: a run folder.
        clients: how many ask at once, in turn.
        length: characters of each text; of a steady load, on the average.
        requests: texts of a steady load that each client asks for, one after the other.
        rounds: timed rounds.
        threads: of the engine, here and in the servers; 0: torch's number.

    Raises:
        ConfigError: a number is too small.
    """
    if min((length, rounds, requests - 1, *clients), default=0) < 1:
        raise ConfigError(
            "`clients`, `length` and `rounds` must be at least 1, and `requests` 2.",
            "Use larger ones.",
        )
    generator = Generator(run, RunFolder(run).load_model())
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(
            _server(partial(_ours, run, max(clients), 2 * length, threads))
        )
        plain = stack.enter_context(_server(partial(_plainest, run, threads)))
        rows = tuple(_row(generator, served, plain, n, length, rounds, requests) for n in clients)
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
        requests=requests,
        rounds=rounds,
        rows=rows,
    )


def _row(
    generator: Generator,
    served: int,
    plain: int,
    clients: int,
    length: int,
    rounds: int,
    requests: int,
) -> ServeRow:
    engine = engine_of(generator, slots=clients)
    once = [[_request(seed, length)] for seed in range(clients)]
    steady = _steady(clients, length, requests)
    answers: dict[str, list[list[list[Answer]]]] = {"once": [], "steady": []}
    plainly = [_request(seed, length) for seed in range(_PLAIN_TEXTS)]

    def alone(asked: list[list[Request]]) -> None:
        for _ in engine.generate(_in_turn(asked)):
            pass

    timings = alternate(
        {
            "engine": lambda: alone(once),
            "server": lambda: answers["once"].append(ask(served, once)),
            "engine, steady": lambda: alone(steady),
            "server, steady": lambda: answers["steady"].append(ask(served, steady)),
            "plain": lambda: [ask_for_one(plain, request) for request in plainly],
        },
        rounds,
    )
    _check(engine, once, answers["once"])
    _check(engine, steady, answers["steady"])
    firsts = [[each.first for (each,) in found] for found in answers["once"][1:]]
    later = [each.first for found in answers["steady"][1:] for mine in found for each in mine[1:]]
    characters = sum(request.config.length for request in _in_turn(steady))
    return ServeRow(
        clients=clients,
        chars_per_second=clients * length / timings.median("server"),
        first_character=statistics.median(x for each in firsts for x in each),
        slowest_first_character=statistics.median(max(each) for each in firsts),
        against_engine=timings.ratio("engine", "server"),
        steady_chars_per_second=characters / timings.median("server, steady"),
        steady_first_character=statistics.median(later),
        steady_against_engine=timings.ratio("engine, steady", "server, steady"),
        against_plain=timings.ratio("plain", "server") * clients / _PLAIN_TEXTS,
    )


def _request(seed: int, length: int) -> Request:
    return Request("", SamplingConfig(length=length, temperature=_TEMPERATURE), seed)


def _steady(clients: int, length: int, requests: int) -> list[list[Request]]:
    """What each client asks for, one text after the other, of half to one and a half ``length``.

    Of one length, all texts would end at once, and the next ones begin at once.
    """
    seeds = [range(n, clients * requests, clients) for n in range(clients)]
    lengths = [max(1, length // 2 + n * 7919 % (length + 1)) for n in range(clients * requests)]
    return [[_request(seed, lengths[seed]) for seed in mine] for mine in seeds]


def _in_turn(asked: list[list[Request]]) -> list[Request]:
    """All requests: the first of each client, then the second of each, and so on."""
    return [request for turn in zip(*asked, strict=True) for request in turn]


def _check(engine: Engine, asked: list[list[Request]], rounds: list[list[list[Answer]]]) -> None:
    """Compare the texts of all rounds with the engine's own.

    Raises:
        GenerationError: a text is another one.
    """
    requests = _in_turn(asked)
    want = {requests[each.index].seed: each.text for each in engine.generate(requests)}
    for answers in rounds:
        for request, answer in zip(requests, _turned(answers), strict=True):
            if answer.text() != want[request.seed]:
                raise GenerationError(
                    f"The server gave another text than the engine for the seed {request.seed}.",
                    "This is a bug of chargen.",
                )


def _turned(answers: list[list[Answer]]) -> list[Answer]:
    return [answer for turn in zip(*answers, strict=True) for answer in turn]


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
            ask_for_one(port, _request(0, 1))
            return
        except (OSError, GenerationError):
            time.sleep(0.1)
    raise GenerationError("A server doesn't start.", "Its messages are above.")
