"""One request and its answer, as the log and the metrics see them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from starlette.types import Scope, Send


@dataclass
class Exchange:
    """What is known of a request while it is answered.

    Attributes:
        scope: of ASGI.
        started: when it came, by ``time.perf_counter``.
        status: of the answer; 0: none yet.
        model: name of the run that it was for.
        characters: that were generated.
        streaming: whether events have been sent.
        gone: whether the client has hung up.
        error: what ended a stream that had begun.
    """

    scope: Scope
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    model: str | None = None
    characters: int = 0
    streaming: bool = False
    gone: bool = False
    error: Exception | None = None

    @property
    def client(self) -> str:
        client = self.scope.get("client")
        return str(client[0]) if client else "-"

    async def send_json(self, send: Send, body: bytes) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def send_events(self, send: Send, events: bytes, *, last: bool = False) -> None:
        """Send events; the answer begins with the first ones."""
        if not self.streaming:
            self.streaming = True
            headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        if events or last:
            await send({"type": "http.response.body", "body": events, "more_body": not last})
