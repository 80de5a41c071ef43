"""The access log: what was asked for and what became of it, never what was written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from chargen.serving.exchange import Exchange


def line_of(exchange: Exchange, kind: str) -> str:
    """A line for the log, ``plain`` or ``json``."""
    scope = exchange.scope
    seconds = time.perf_counter() - exchange.started
    status = "gone" if exchange.gone else exchange.status
    if kind == "json":
        facts = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": exchange.client,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "seconds": round(seconds, 4),
            "run": exchange.model,
            "characters": exchange.characters,
            "error": None if exchange.error is None else str(exchange.error),
        }
        return json.dumps(facts)
    path = scope["path"][:200].encode("unicode_escape").decode()
    words = f'{exchange.client} "{scope["method"][:20]} {path}" {status} {seconds:.3f} s'
    if exchange.model is not None:
        words += f" {exchange.model} {exchange.characters} characters"
    return words if exchange.error is None else f"{words}, ended by: {exchange.error}"


def logger(kind: str, say: Callable[[str], None]) -> Callable[[Exchange], None]:
    """What writes the log of a kind through ``say``."""
    if kind == "none":
        return _nothing
    return lambda exchange: say(line_of(exchange, kind))


def _nothing(_exchange: Exchange) -> None:
    pass
