"""Number formats of mixed precision under ``torch.autocast``.

Matrix products over all time steps, fused recurrences and the products of the softmax use
autocast's format. Sums, the loss, hand-written recurrences and carried states stay in float32.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator

import torch
from torch import Tensor

_CUDNN_WITH_BFLOAT16 = 91300
"""The first version of cuDNN whose recurrences support bfloat16."""

MUCH_FASTER = 3.0
"""Speed of bfloat16 products over float32's from which a CPU is taken to be made for them.

Tiles for matrices (Intel's AMX) give about 7, the instructions of AMD's Zen 5 over 4; where
bfloat16 is emulated, it is slower than float32.
"""
_PROBE_SIZE, _PROBE_ROUNDS = 512, 5


@functools.cache
def bfloat16_speedup() -> float:
    """Measure how much faster this CPU multiplies matrices in bfloat16 than in float32.

    Takes about 20 ms, once per process. The best of several rounds counts, so that other load on
    the machine changes little.
    """
    best = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(_PROBE_SIZE, _PROBE_SIZE, dtype=dtype)
        out, seconds = torch.empty_like(a), []
        for _ in range(_PROBE_ROUNDS):
            began = time.perf_counter()
            torch.mm(a, a, out=out)
            seconds.append(time.perf_counter() - began)
        best.append(min(seconds))
    return best[0] / best[1]


def product_dtype(x: Tensor) -> torch.dtype:
    """Return the format of a matrix product with x: autocast's if enabled, else x's."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def kernel_dtype(x: Tensor, full: torch.dtype) -> torch.dtype:
    """Return the format of a fused recurrence: autocast's, or ``full`` if cuDNN lacks it."""
    dtype = product_dtype(x)
    old = x.is_cuda and _cudnn_version() < _CUDNN_WITH_BFLOAT16
    return full if old and dtype == torch.bfloat16 else dtype


def _cudnn_version() -> int:
    return torch.backends.cudnn.version() or 0  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Keep cuDNN's recurrences from rounding float32 to TF32 in a block."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def no_autocast(x: Tensor) -> torch.autocast:
    """Return a context without autocast on x's device."""
    return torch.autocast(x.device.type, enabled=False)
