"""Options of work that is shared between processes or machines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chargen.options.field import Config, option

WORKERS = "Workers"
ADDRESS = r"(?:ray://)?[\w.\-]+:\d{1,5}"
_SHARD = re.compile(r"(\d{1,7})/(\d{1,7})")


def _address_fault(text: str) -> str | None:
    if text in ("none", "local", "auto") or re.fullmatch(ADDRESS, text):
        return None
    return "an address such as 10.0.0.1:6379, auto or local"


def _shard_fault(text: str) -> str | None:
    return None if parts_of_shard(text) else "I/N with 1 ≤ I ≤ N, such as 3/8"


def parts_of_shard(text: str) -> tuple[int, int] | None:
    """Return ``3/8`` as (3, 8); None if it is no shard."""
    found = _SHARD.fullmatch(text)
    if found is None:
        return None
    number, count = int(found[1]), int(found[2])
    return (number, count) if 1 <= number <= count else None


def shard_option() -> str | None:
    found: str | None = option(
        None,
        "I/N, a share of the work: its 1st, 2nd, … of N, to be joined by chargen merge",
        rule=_shard_fault,
        panel=WORKERS,
    )
    return found


@dataclass(frozen=True)
class WorkersConfig(Config):
    """Who shares the work."""

    workers: int | None = option(
        None,
        "Processes that share the work, each with its share of the threads; with --ray, actors",
        low=1,
        high=10_000,
        default_text="1; with --ray one for each processor of the cluster",
        panel=WORKERS,
    )
    ray: str = option(
        "none",
        "Share the work through Ray: address HOST:PORT of a cluster, or auto, the one that this "
        "machine belongs to; the flag alone starts a cluster on this machine",
        rule=_address_fault,
        switch=("none", "local"),
        panel=WORKERS,
    )

    @property
    def shared(self) -> bool:
        """Whether there are workers besides this process."""
        return self.ray != "none" or (self.workers or 1) > 1
