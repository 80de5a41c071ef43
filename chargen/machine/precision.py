"""Mixed precision under ``torch.autocast``: what runs in its format, and what in full.

Matrix products over all time steps, the fused recurrences and the softmax's products run in
autocast's format. Sums, the loss, the hand-written recurrences and the carried states stay in
float32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

_CUDNN_WITH_BFLOAT16 = 91300
"""The first version of cuDNN whose recurrences support bfloat16."""


def product_dtype(x: Tensor) -> torch.dtype:
    """The format of a matrix product with x: autocast's where it is on for x's device, else x's."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def kernel_dtype(x: Tensor, full: torch.dtype) -> torch.dtype:
    """The format of a fused recurrence over x: autocast's, or ``full`` where cuDNN lacks it."""
    dtype = product_dtype(x)
    old = x.is_cuda and _cudnn_version() < _CUDNN_WITH_BFLOAT16
    return full if old and dtype == torch.bfloat16 else dtype


def _cudnn_version() -> int:
    return torch.backends.cudnn.version() or 0  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """A block in which cuDNN's recurrences don't round float32 to TF32, their default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def no_autocast(x: Tensor) -> torch.autocast:
    """A block without autocast on x's device."""
    return torch.autocast(x.device.type, enabled=False)
