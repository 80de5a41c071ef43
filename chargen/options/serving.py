"""Options of the HTTP server."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.options.field import Config, option

ACCESS, LIMITS = "Access", "Limits"


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach an address, which may be ``localhost``."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key_problem(key: str) -> str | None:
    usable = key.isascii() and key.isprintable() and " " not in key and key
    return None if usable else "printable ASCII characters without spaces"


def _origin_problem(origins: tuple[str, ...]) -> str | None:
    good = all(
        o == "*" or (o.startswith(("http://", "https://")) and "/" not in o[8:]) for o in origins
    )
    return None if good else "origins such as https://example.org, without a path"


@dataclass(frozen=True)
class ServeConfig(Config):
    """How the server is reached, who may use it, and what it bears."""

    host: str = option("127.0.0.1", "Address to listen on")
    port: int = option(8000, "Port to listen on; 0: one that is free", low=0, high=65535)
    api_key: str | None = option(
        None,
        "Key that clients must send, better given by the environment variable CHARGEN_API_KEY",
        rule=_key_problem,
        panel=ACCESS,
    )
    insecure: bool = option(False, "Serve other machines without a key", panel=ACCESS)
    allow_host: tuple[str, ...] = option(
        (), "Name by which clients may call the server, besides its address", panel=ACCESS
    )
    cors_origin: tuple[str, ...] = option(
        (),
        "Origin whose pages may use the server; *: any",
        rule=_origin_problem,
        panel=ACCESS,
    )
    slots: int = option(64, "Texts of a run that are generated at once", low=1, high=4096)
    queue: int = option(
        64,
        "Texts that may wait; more are refused with status 429",
        low=0,
        high=1 << 16,
        panel=LIMITS,
    )
    max_connections: int = option(
        512,
        "Connections at once; more are refused with status 503",
        low=1,
        high=1 << 16,
        panel=LIMITS,
    )
    loaded_runs: int = option(2, "Runs that are kept in memory", low=1, high=1000, panel=LIMITS)
    reload: bool = option(False, "Take over a run that was trained further, without a gap")
    max_length: int = option(
        4096, "Characters of a text, at most", low=1, high=1 << 20, panel=LIMITS
    )
    max_prompt: int = option(
        16384, "Characters of a prompt, at most", low=1, high=1 << 22, panel=LIMITS
    )
    max_choices: int = option(64, "Texts of a request, at most", low=1, high=4096, panel=LIMITS)
    max_body: int = option(
        1 << 20, "Bytes of a request's body, at most", low=1024, high=1 << 28, panel=LIMITS
    )
    request_timeout: float = option(
        300.0, "Seconds that a request may take", above=0, high=86400, panel=LIMITS
    )
    shutdown_timeout: float = option(
        30.0,
        "Seconds that running requests have after SIGTERM",
        low=0,
        high=86400,
        panel=LIMITS,
    )
    access_log: str = option(
        "plain",
        "Log of requests on standard error",
        choices={"plain": "a line each", "json": "a JSON object each", "none": ""},
    )

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        host = values.get("host", cls.host)
        if is_loopback(host) or values.get("api_key") or values.get("insecure"):
            return []
        return [f"`host` is {host}, which other machines can reach: set `api_key`, or `insecure`"]
