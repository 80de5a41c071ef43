"""Where the processes of a launch meet, before they compute together."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, TypeAlias

import torch
import torch.distributed as dist

from chargen import __version__
from chargen.errors import TrainingError
from chargen.machine.launch import Launch

Store: TypeAlias = Any  # torch doesn't export the type
CONNECT_SECONDS = 10.0
"""After which an address counts as one that doesn't answer."""
GATHER_SECONDS = 120.0
"""After which a process counts as one that doesn't come; machines import torch at their pace."""
_FACTS = {"chargen": "chargen", "torch": "torch", "cpu": "the instruction set of the CPU"}


def meet(launch: Launch) -> Store:
    """Connect to the others of a launch, and return the store of values that all of them see.

    Raises:
        TrainingError: the address doesn't answer, processes don't come, or they differ.
    """
    store = part_of(_connected(launch), f"chargen/{launch.attempt}")
    here = {
        "chargen": __version__,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
    store.set(f"here/{launch.rank}", json.dumps(here))
    names = [f"here/{rank}" for rank in range(launch.size)]
    try:
        store.wait(names, timedelta(seconds=GATHER_SECONDS))
    except RuntimeError as error:
        absent = [str(rank) for rank, name in enumerate(names) if not store.check([name])]
        raise TrainingError(
            f"Of {launch.size} processes, rank {', '.join(absent)} has not come within "
            f"{GATHER_SECONDS:.0f} seconds.",
            "See what became of it, and start all of them again.",
        ) from error
    require_same([json.loads(store.get(name)) for name in names])
    return store


def part_of(store: Store, name: str) -> Store:
    """A part of a store with names of its own."""
    return dist.PrefixStore(name, store)  # type: ignore[attr-defined]


def _connected(launch: Launch) -> Store:
    try:
        return dist.TCPStore(  # type: ignore[attr-defined]
            launch.address,
            launch.port,
            launch.size,
            is_master=launch.leads and not launch.hosted,
            timeout=timedelta(seconds=CONNECT_SECONDS),
            wait_for_workers=False,
        )
    except RuntimeError as error:
        raise TrainingError(
            f"{launch.address}:{launch.port}, where the processes meet, doesn't answer.",
            "Check MASTER_ADDR and MASTER_PORT, the network and its firewall, and that the leading "
            "process runs.",
        ) from error


def require_same(found: list[dict[str, str]]) -> None:
    """Raise TrainingError where a process would compute other bits than the leading one.

    ``found`` has versions and instruction set of each process, by rank.
    """
    for rank, facts in enumerate(found):
        for name, words in _FACTS.items():
            if facts[name] != found[0][name]:
                raise TrainingError(
                    f"The processes differ: {words} is {found[0][name]} on rank 0 and "
                    f"{facts[name]} on rank {rank}.",
                    "Set ATEN_CPU_CAPABILITY to the narrower one everywhere."
                    if name == "cpu"
                    else "Install the same versions everywhere.",
                )
