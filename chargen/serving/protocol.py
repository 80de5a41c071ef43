"""HTTP/1.1 as uvicorn speaks it, with errors in the API's shape and bounds on slow clients.

The parser is httptools: it takes a tenth of the processor time of h11, which all running texts pay
for. What h11 bounds and httptools doesn't is bounded here.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar, cast

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from chargen.serving.refusals import RefusedError, to_json

HEADER_BYTES = 32 << 10
_HEADER_SECONDS = 20.0
_LINGERING = 1.0
"""Seconds that a client has to read why it is refused: closing with bytes unread resets the
connection, and the answer is lost with it."""


class _Joined:
    """The transport of one answer, whose head is sent with the beginning of its body."""

    def __init__(self, transport: Any, cycle: RequestResponseCycle) -> None:
        self._transport, self._cycle = transport, cycle
        self._begun, self._head = False, b""

    def write(self, data: bytes) -> None:
        if self._cycle.response_started and not self._begun:
            self._begun, self._head = True, data
            return
        self._transport.write(self._head + data)
        self._head = b""

    def flush(self) -> None:
        """Send a head without a body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        closing: bool = self._transport.is_closing()
        return closing


class Bounded(HttpToolsProtocol):
    """A connection whose headers must come in time, and whose errors are JSON.

    One too many is refused before anything of it is read, so that none waits for its turn.
    """

    most: ClassVar[int]
    _timer: asyncio.TimerHandle | None = None
    _refused = False
    _answering: RequestResponseCycle | None = None
    _joined: _Joined
    _in_headers = True
    _pending = 0
    """Bytes that came since headers were complete or a part of a body was there: bytes of headers,
    of trailers, or of what stands between the chunks of a body."""

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
        self._pending += len(data)
        super().data_received(data)
        if self._pending > HEADER_BYTES:
            self._refuse(RefusedError(431, "The headers are too large.", code="invalid_http"))
        if self._is_idle() and not self._refused:
            self._expect()
        else:
            self._stop_expecting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)
        self._abandon()

    def on_message_begin(self) -> None:
        self._in_headers = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers come here as well, and would change what was checked."""
        if self._in_headers:
            super().on_header(name.lower(), value)

    def on_headers_complete(self) -> None:
        self._pending, self._in_headers = 0, False
        size = sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) + size > HEADER_BYTES:
            raise RefusedError(431, "The headers are too large.", code="invalid_http")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise RefusedError(400, "A request has one Host header.", code="invalid_http")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering, self._joined = cycle, _Joined(self.transport, cycle)
        cycle.transport = cast("asyncio.Transport", self._joined)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._joined.flush()  # an answer to HEAD has no body
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        error = sys.exception()
        reason = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
        if not isinstance(reason, RefusedError):
            words = "The target is no path" if reason is not None else str(error)
            reason = RefusedError(400, f"Invalid HTTP request: {words}.", code="invalid_http")
        self._refuse(reason)

    def _unsupported_upgrade_warning(self) -> None:
        """What follows a request for another protocol can't be read any more."""
        self.cycle.keep_alive = False

    def _refuse(self, refusal: RefusedError) -> None:
        """Say why a connection ends, and end it once the client has had time to read that."""
        if self._refused:
            return
        body = to_json(refusal.body())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *((name.encode(), value.encode()) for name, value in refusal.headers.items()),
        ]
        if self._answering is None or self._is_idle() or not self._answering.response_started:
            lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            self.transport.write(STATUS_LINE[refusal.status] + lines + b"\r\n" + body)
        self._abandon()
        self._refused = True
        self.connections.discard(self)
        self.transport.write_eof()
        self.loop.call_later(_LINGERING, self.transport.close)

    def _is_idle(self) -> bool:
        """Whether no request is being answered, so that headers are what comes next."""
        return self._answering is None or self._answering.response_complete

    def _abandon(self) -> None:
        """Tell the request that is being answered that nobody reads it; others may be behind it."""
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

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
