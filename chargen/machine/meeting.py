"""Where the processes of a launch meet, before they compute together."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from time import monotonic, sleep
from typing import Any, TypeAlias
from uuid import uuid4

import torch
import torch.distributed as dist

from chargen import __version__
from chargen.errors import OtherFailedError, TrainingError
from chargen.machine.launch import Launch

Store: TypeAlias = Any  # torch doesn't export the type
CONNECT_SECONDS = 3.0
"""Of one try to connect; torch makes two, with a pause as long: ten seconds in all."""
GATHER_SECONDS = 120.0
"""After which a process counts as one that doesn't come; machines import torch at their pace."""
POLL_SECONDS = 0.1
"""Between two looks for what another process has written."""
_OPEN = "open"
_FACTS = {"chargen": "chargen", "torch": "torch", "cpu": "the instruction set of the CPU"}


def meet(launch: Launch, stop: Callable[[], bool] = lambda: False) -> Store:
    """Connect to the others of a launch, and return the store of values that all of them see.

    After a restart the launcher's store still has what processes wrote that are gone, and machines
    don't agree on how often they were started again. So the leading process opens each meeting
    under a new name, the others enter, each under a name of its own, and it goes on once the
    leading process has listed them.

    Args:
        launch: who meets where.
        stop: called while the process waits.

    Raises:
        OtherFailedError: ``stop`` returned True.
        TrainingError: the address doesn't answer, processes don't come, or they differ.
    """
    store = part_of(_connected(launch), "chargen")
    mine = {
        "who": uuid4().hex,
        "chargen": __version__,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
    try:
        name, found = _gathered(store, launch, mine, stop)
    except RuntimeError as error:
        raise _silent(launch) from error
    require_same(found)
    return part_of(store, name)


def _gathered(
    store: Store, launch: Launch, mine: dict[str, str], stop: Callable[[], bool]
) -> tuple[str, list[dict[str, str]]]:
    """The name of the meeting, and what each process says of itself, by rank."""
    name = mine["who"] if launch.leads else ""
    entries: list[str] = []
    if launch.leads:
        store.set(_OPEN, name)
    deadline = monotonic() + GATHER_SECONDS
    while monotonic() < deadline:
        if store.check([_OPEN]):
            opened = str(store.get(_OPEN), "utf-8")
            if opened != name or not entries:  # the one before may be of processes that are gone
                name, entries = opened, [f"{opened}/{rank}" for rank in range(launch.size)]
                store.set(entries[launch.rank], json.dumps(mine))
            if launch.leads and store.check(entries):
                store.set(f"{name}/all", json.dumps([json.loads(store.get(e)) for e in entries]))
            if store.check([f"{name}/all"]):
                found: list[dict[str, str]] = json.loads(store.get(f"{name}/all"))
                if found[launch.rank] == mine:
                    return name, found
        if stop():
            raise OtherFailedError
        sleep(POLL_SECONDS)
    absent = [str(rank) for rank, each in enumerate(entries) if not store.check([each])]
    raise TrainingError(
        f"Of {launch.size} processes, rank {', '.join(absent) or '0'} has not come within "
        f"{GATHER_SECONDS:.0f} seconds.",
        "See what became of it, and start all of them again.",
    )


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
        raise _silent(launch) from error


def _silent(launch: Launch) -> TrainingError:
    return TrainingError(
        f"{launch.address}:{launch.port}, where the processes meet, doesn't answer.",
        "Check MASTER_ADDR and MASTER_PORT, the network and its firewall, and that the leading "
        "process runs.",
    )


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
