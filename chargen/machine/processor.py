"""The processor of this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Return the model of the processor and the number of cores that this process may use."""
    cores = usable_cores()
    return f"{_model(_facts())}, {cores} {'core' if cores == 1 else 'cores'}"


def processor_kind() -> str:
    """Return what tells processors apart that may compute other bits.

    A virtual machine may hide the name of the model, but not its family and number.
    """
    facts = _facts()
    told = (f"{name} {facts[name]}" for name in ("cpu family", "model") if name in facts)
    return ", ".join((_model(facts), *told))


def _model(facts: dict[str, str]) -> str:
    return facts.get("model name") or platform.processor() or platform.machine()


def _facts() -> dict[str, str]:
    """What Linux says of the first core; nothing elsewhere."""
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text("utf-8", "replace").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
