"""What stands before every endpoint: who may, headers, errors, the log."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Callable
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chargen.options import ServeConfig
from chargen.serving.exchange import Exchange
from chargen.serving.metrics import Metrics, outcome_of
from chargen.serving.protocol import HEADER_BYTES
from chargen.serving.refusals import RefusedError

OPEN = ("/health", "/favicon.ico")
"""Paths that need no key, besides the page's own (``/`` and ``/static/``)."""
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """The outermost layer, an ASGI application.

    Args:
        app: what it stands before.
        config: who may.
        metrics: counts what becomes of requests.
        log: told of each exchange that is over.
        on_bug: told of exceptions that nothing was prepared for.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: ServeConfig,
        metrics: Metrics,
        log: Callable[[Exchange], None],
        on_bug: Callable[[Exception], None],
    ) -> None:
        self._app, self._config, self._metrics = app, config, metrics
        self._log, self._on_bug = log, on_bug
        self._key = (config.api_key or "").encode()
        self._names = {config.host.lower(), *(name.lower() for name in config.allow_host)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope)
        scope.setdefault("state", {})["exchange"] = exchange
        headers = dict(scope["headers"])
        more = [*_HEADERS, *self._cors(headers.get(b"origin"))]

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                own = {name for name, _ in message.get("headers", ())}
                added = [pair for pair in more if pair[0] not in own]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        try:
            await self._answer(exchange, headers, receive, guarded)
        except asyncio.CancelledError:
            exchange.gone = True
            raise
        finally:
            status = exchange.status
            if exchange.error is not None:
                status = RefusedError.of(exchange.error).status
                if status == 500:
                    self._on_bug(exchange.error)
            self._metrics.ended(outcome_of(status, gone=exchange.gone))
            self._log(exchange)

    async def _answer(
        self, exchange: Exchange, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        try:
            if sum(len(name) + len(value) for name, value in headers.items()) > HEADER_BYTES:
                raise RefusedError(431, "The headers are too large.", close=True)
            self._check_host(headers.get(b"host"))
            if self._is_preflight(exchange.scope, headers):
                await _allow(headers, send)
                return
            self._check_key(exchange.scope["path"], headers.get(b"authorization", b""))
            await self._app(exchange.scope, receive, send)
        except Exception as error:
            refusal = RefusedError.of(error)
            if refusal.status == 500:
                self._on_bug(error)
            if exchange.status:
                raise
            await refusal.response()(exchange.scope, receive, send)

    def _check_host(self, value: bytes | None) -> None:
        """A page can have its own name point here, but not make a browser send another one."""
        name = host_in((value or b"").decode("latin-1"))
        if name is None or not (is_address(name) or name in self._names or _is_local(name)):
            raise RefusedError(
                421,
                f"This server is not called {name or 'that'!r:.200}.",
                code="unknown_host",
                close=True,
            )

    def _check_key(self, path: str, given: bytes) -> None:
        if not self._key or path in OPEN or path == "/" or path.startswith("/static/"):
            return
        scheme, _, key = given.partition(b" ")
        if not hmac.compare_digest(key.strip(), self._key) or scheme.lower() != b"bearer":
            raise RefusedError(
                401,
                "The key is missing or wrong: send it as Authorization: Bearer KEY.",
                code="invalid_api_key",
                close=True,
            )

    def _allows(self, origin: bytes | None) -> bool:
        wanted = self._config.cors_origin
        return origin is not None and ("*" in wanted or origin.decode("latin-1") in wanted)

    def _cors(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if not self._config.cors_origin:
            return []
        allowed = (b"access-control-allow-origin", origin or b"")
        return [(b"vary", b"origin"), *([allowed] if self._allows(origin) else [])]

    def _is_preflight(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        asks = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
        return asks and self._allows(headers.get(b"origin"))


async def _allow(headers: dict[bytes, bytes], send: Send) -> None:
    answer = [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"*")),
        (b"access-control-max-age", b"600"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": answer})
    await send({"type": "http.response.body", "body": b""})


@lru_cache(maxsize=64)
def host_in(value: str) -> str | None:
    """The host in a Host header, without its port and in lower case; None where there is none."""
    host, port = value.strip().lower(), ""
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    else:
        host, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return None
    return host.removesuffix(".") or None


@lru_cache(maxsize=64)
def is_address(host: str) -> bool:
    """Whether a host is an address: no name server is asked for it, so it can't be rebound."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")
