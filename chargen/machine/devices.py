"""Where the arithmetic runs: the device and the CPU threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from chargen.config import DEVICES
from chargen.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: the machine doesn't have it.
    """
    if name not in DEVICES:
        raise ConfigError(f"There is no device {name!r}.", f"Use {', '.join(DEVICES)}.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("There is no CUDA device that torch can use.", "Use --device cpu.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("There is no MPS device that torch can use.", "Use --device cpu.")
    return torch.device(name)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """A block, to be entered again and again, with matrix products in ``precision``.

    ``auto`` is bfloat16 on a GPU that computes in it, not merely converts; else float32.
    """
    if precision == "auto":
        made_for_it = device.type == "cuda" and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        precision = "bfloat16" if made_for_it else "float32"
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[int]:
    """Compute with ``count`` threads inside the block; 0 leaves torch's own choice."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
