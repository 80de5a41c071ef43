"""Work for workers that takes no time, or ends them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chargen.errors import CheckpointError
from chargen.generation.requests import Result
from chargen.workers.messages import Hands, Items


@dataclass(frozen=True)
class Squares:
    """Squares numbers, several at once; ``deadly`` ones end the worker.

    Attributes:
        folder: where ``slow`` ones wait for a file ``go``; where deadly ones leave a mark.
        deadly: numbers, and how many workers each of them ends.
        broken: whether it can't begin.
    """

    folder: Path
    deadly: dict[int, int] = field(default_factory=dict)
    slow: int = -1
    broken: bool = False

    def begin(self, threads: int) -> Hands:
        if self.broken:
            raise CheckpointError("There is no run.", "Copy it there.")
        return Hands(self._do, {}, at_once=4)

    def _do(self, items: Items) -> Iterator[tuple[int, int]]:
        for position, number in enumerate(items):
            if number is None:
                return
            if number == self.slow:
                while not (self.folder / "go").exists():
                    time.sleep(0.01)
            marks = len(list(self.folder.glob(f"{number}-*")))
            if marks < self.deadly.get(number, 0):
                (self.folder / f"{number}-{marks}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield position, number * number


@dataclass(frozen=True)
class Echoes:
    """Texts that are their prompts; the prompt ``deadly`` ends the worker, and leaves a mark."""

    folder: Path
    deadly: str

    def begin(self, threads: int) -> Hands:
        return Hands(self._do, {}, at_once=4)

    def _do(self, items: Items) -> Iterator[tuple[int, Result]]:
        for position, request in enumerate(items):
            if request is None:
                return
            if request.prompt == self.deadly:
                (self.folder / f"mark-{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            text = request.prompt
            yield position, Result(0, text, "length", len(text), request.seed, None)
