"""HTTP/1.1 as uvicorn speaks it, with errors in the API's shape and bounds on slow clients."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from chargen.serving.refusals import RefusedError, to_json

HEADER_BYTES = 32 << 10
_HEADER_SECONDS = 20.0
_LINGERING = 1.0
"""Seconds that a client has to read why it is refused: closing with bytes unread resets the
connection, and the answer is lost with it."""


class Bounded(H11Protocol):
    """A connection whose headers must come in time, and whose errors are JSON.

    One too many is refused before anything of it is read, so that none waits for its turn.
    """

    most: ClassVar[int]
    _timer: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            words = "The server has too many connections. Try again later."
            self._refuse(RefusedError(503, words, code="too_many_connections", retry_after=1))
            return
        self._expect()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._is_idle():
            self._expect()
        else:
            self._stop_expecting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        error = sys.exception()
        status = getattr(error, "error_status_hint", 400)
        words = "The headers are too large." if status == 431 else f"Invalid HTTP request: {error}."
        self._refuse(RefusedError(status, words, code="invalid_http"))

    def _refuse(self, refusal: RefusedError) -> None:
        """Say why a connection ends, and end it once the client has had time to read that."""
        body = to_json(refusal.body())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *((name.encode(), value.encode()) for name, value in refusal.headers.items()),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = h11.Response(status_code=refusal.status, headers=headers)
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self._refused = True
        self.connections.discard(self)
        self.transport.write_eof()
        self.loop.call_later(_LINGERING, self.transport.close)

    def _is_idle(self) -> bool:
        """Whether no request is being answered, so that headers are what comes next."""
        return self.cycle is None or self.cycle.response_complete

    def _expect(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def _stop_expecting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()


def bounded(most: int) -> type[Bounded]:
    """The protocol of a server that has at most so many connections at once."""
    return type("Bounded", (Bounded,), {"most": most})
