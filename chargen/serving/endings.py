"""What ends an answer early: the client hangs up, time is up, or the server closes."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from starlette.types import Receive

from chargen.serving.refusals import RefusedError


class HungUpError(Exception):
    """The client has hung up."""


class Endings:
    """Ends answers early.

    Args:
        timeout: seconds that a request may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout, self._closed = timeout, False
        self._watched: set[_Watched] = set()

    def close(self) -> None:
        """End all answers, and those to come: there is no more time."""
        self._closed = True
        for each in tuple(self._watched):
            each.end(_closing())

    def watching(self, started: float, receive: Receive) -> _Watched:
        """A block that is cancelled when it has to end early; then it raises the reason.

        Args:
            started: when the request came, by ``time.perf_counter``.
            receive: tells of the client; nothing else may call it meanwhile.

        Raises:
            HungUpError: the client has hung up.
            RefusedError: 503, the server closes, or 504, time is up.
        """
        if self._closed:
            raise _closing()
        return _Watched(self._watched, started, self._timeout, receive)


class _Watched:
    """A block within a task, which is interrupted by cancelling the task."""

    def __init__(
        self, watched: set[_Watched], started: float, timeout: float, receive: Receive
    ) -> None:
        self._watched, self._started, self._timeout = watched, started, timeout
        self._receive = receive
        self._reason: Exception | None = None

    def end(self, reason: Exception) -> None:
        if self._reason is None:
            self._reason = reason
            self._task.cancel()

    async def __aenter__(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("There is no task that could be cancelled.")
        self._task = task
        self._watched.add(self)
        left = self._timeout - (time.perf_counter() - self._started)
        self._timer = loop.call_later(max(left, 0.0), self._time_is_up)
        self._listening = loop.create_task(self._listen())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watched.discard(self)
        self._timer.cancel()
        self._listening.cancel()
        if self._reason is None:
            return
        others = self._task.uncancel()
        if not others and kind is asyncio.CancelledError:
            raise self._reason from None

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.end(HungUpError())

    def _time_is_up(self) -> None:
        words = f"The request took longer than {self._timeout:g} seconds."
        self.end(RefusedError(504, words, code="timeout"))


def _closing() -> RefusedError:
    return RefusedError(503, "The server is shutting down.", code="shutting_down")
