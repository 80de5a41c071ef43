"""A run in memory, and by what its files are known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from chargen.generation.engine import Engine
from chargen.generation.generator import Generator
from chargen.runs.layout import CONFIG, MODEL, NGRAM
from chargen.serving.worker import Worker

Stamp = tuple[tuple[int, int] | None, ...]


@dataclass
class Model:
    """A run in memory.

    Attributes:
        name: by which it is asked for.
        generator: the run.
        engine, worker: what generates; None in a run that writes no texts.
        stamp: of its files when they were read.
        users: requests that it is working for.
        used: a number that grows with each use.
        turn: held while a text is read or filled beside the engine, one at a time.
    """

    name: str
    generator: Generator
    engine: Engine | None
    worker: Worker | None
    stamp: Stamp
    users: int = 0
    used: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fingerprint(self) -> str:
        """What identifies the weights."""
        return self.generator.loaded.weights_sha256

    def stop(self, timeout: float = 5.0) -> None:
        if self.worker is not None:
            self.worker.stop(timeout)


def stamp_of(path: Path) -> Stamp:
    """What changes when a run is trained further: time and size of each file that is read."""

    def of(name: str) -> tuple[int, int] | None:
        try:
            facts = (path / name).stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_size

    return tuple(map(of, (CONFIG, MODEL, NGRAM)))
