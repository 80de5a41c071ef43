"""The device, its number format, and the CPU threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from chargen.errors import ConfigError
from chargen.machine.precision import MUCH_FASTER, bfloat16_speedup
from chargen.options import TrainConfig


def resolve_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` is CUDA if available, else the CPU.

    Raises:
        ConfigError: the name is unknown, or the machine has no such device.
    """
    if problem := TrainConfig.entries()["device"].problem(name):
        raise ConfigError(f"{problem}.", "Choose one of these.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("There is no CUDA device that torch can use.", 'Use `device="cpu"`.')
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("There is no MPS device that torch can use.", 'Use `device="cpu"`.')
    return torch.device(name)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return a reusable context in which matrix products are computed in ``precision``."""
    enabled = resolve_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def resolve_precision(name: str, device: torch.device) -> str:
    """Resolve ``auto``: bfloat16 where the hardware is made for it, else float32.

    That is a GPU that supports it, and a CPU whose products are much faster in it.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        made_for_it = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        made_for_it = device.type == "cpu" and bfloat16_speedup() >= MUCH_FASTER
    return "bfloat16" if made_for_it else "float32"


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[int]:
    """Use ``count`` CPU threads in a block; 0 leaves their number unchanged."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
