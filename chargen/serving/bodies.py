"""Reading a request's body, within bounds."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import Receive, Scope

from chargen.serving.refusals import RefusedError

_SECONDS = 30.0
"""That a body may take."""
_SILENCE, _DISCARDED = 0.3, 16 << 20
"""Seconds and bytes for which the rest of a body that is refused is read and dropped: closing with
bytes unread resets the connection, and the answer is lost with it."""


async def read_json(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body of a request that is said to be JSON.

    That it must say so keeps pages of other origins out: a browser asks before it sends JSON.

    Raises:
        RefusedError: it isn't JSON, is too large, or doesn't come.
    """
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise RefusedError(
            415, "The body must be JSON: send Content-Type: application/json.", close=True
        )
    length = headers.get(b"content-length", b"0")
    try:
        async with asyncio.timeout(_SECONDS):
            if not length.isdigit() or len(length) > 15 or int(length) > most:
                if b"expect" not in headers:
                    await _discard(receive)
                raise _too_large(most)
            return await _read(receive, most)
    except TimeoutError as error:
        raise RefusedError(
            408, "The body didn't come in time.", code="timeout", close=True
        ) from error


async def _read(receive: Receive, most: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "The client hung up before its body was complete.", close=True)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            await _discard(receive)
            raise _too_large(most)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _discard(receive: Receive) -> None:
    """Read the rest of a body, while it keeps coming."""
    size = 0
    with suppress(TimeoutError):
        while size < _DISCARDED:
            async with asyncio.timeout(_SILENCE):
                message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                return


def _too_large(most: int) -> RefusedError:
    words = f"The body has more than {most:,} bytes."
    return RefusedError(413, words, code="request_too_large", close=True)
