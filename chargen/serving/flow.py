"""The texts of one request as they come from the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from chargen.generation.requests import Chunk, Drawn, Request, Result
from chargen.serving.metrics import Metrics
from chargen.serving.worker import Job, Part, Worker


class Text:
    """A text: what came of it, and what of that was handed on."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.result: Result | None = None
        self.handed_on = False  # the result, too
        self._new: list[str] = []
        self._drawn: list[Drawn] = []

    def add(self, chunk: Chunk) -> None:
        self._new.append(chunk.text)
        self._drawn += chunk.drawn

    @property
    def has_news(self) -> bool:
        return bool(self._new) or (self.result is not None and not self.handed_on)

    def take(self) -> tuple[str, list[Drawn]]:
        """What came since the last call."""
        new, drawn = "".join(self._new), self._drawn
        self._new, self._drawn = [], []
        self.handed_on = self.result is not None
        return new, drawn


class Texts(Protocol):
    """The texts of a request, and how many characters they have so far."""

    texts: list[Text]
    characters: int


class Flow:
    """The texts of a request.

    Args:
        requests: of the texts.
        worker: that generates them.
        metrics: is told of the first character, and of how many there were.
        started: when the request came, by ``time.perf_counter``.
    """

    def __init__(
        self, requests: Sequence[Request], worker: Worker, metrics: Metrics, started: float
    ) -> None:
        self.texts = [Text(request) for request in requests]
        self.error: Exception | None = None
        self.characters = 0
        self._worker, self._metrics, self._started = worker, metrics, started
        self._left = len(self.texts)
        self._news = asyncio.Event()
        self._done = asyncio.Event()
        self._jobs = [Job(text.request, self._receiver(text)) for text in self.texts]

    def begin(self) -> None:
        for job in self._jobs:
            self._worker.submit(job)

    def cancel(self) -> None:
        """Free the slots of what is not done; what is done is left alone."""
        for job in self._jobs:
            self._worker.cancel(job)
        self._metrics.wrote(self.characters)

    @property
    def done(self) -> bool:
        return self._done.is_set()

    async def finished(self) -> None:
        """Wait for all texts, or for an error, which is raised."""
        await self._done.wait()
        if self.error is not None:
            raise self.error

    async def news(self) -> None:
        """Wait until there is something new."""
        await self._news.wait()
        self._news.clear()

    def _receiver(self, text: Text) -> Callable[[Part], None]:
        def receive(part: Part) -> None:
            if isinstance(part, Chunk):
                if not self.characters:
                    self._metrics.began(time.perf_counter() - self._started)
                self.characters += len(part.text)
                text.add(part)
            elif isinstance(part, Result):
                text.result = part
                self._left -= 1
            else:
                self.error = part
            if not self._left or self.error is not None:
                self._done.set()
            self._news.set()

        return receive
