"""Windows on their way to the device that trains."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.corpus.windows import Windows

Window = tuple[Tensor, Tensor, bool]
"""Inputs and targets, (T, B) each, on the device; whether the state starts anew."""


class Feed:
    """The windows as tensors on a device, by their numbers as in ``Windows``.

    They are sent to a CUDA device from pinned memory, without waiting. ``prepare`` starts that
    while the device is still busy with the window before. On a CPU nothing is copied.
    """

    def __init__(self, windows: Windows, device: torch.device) -> None:
        self._windows, self._device = windows, device
        self._ready: dict[int, Window] = {}

    def window(self, step: int) -> Window:
        """The window of global step ``step``."""
        return self._ready.get(step) or self._send(step)

    def prepare(self, step: int) -> None:
        """Start to send a window; those prepared before are forgotten."""
        if self._device.type != "cpu":
            self._ready = {step: self._send(step)}

    def _send(self, step: int) -> Window:
        ids, targets, fresh = self._windows.window(step)
        return self._to_device(ids), self._to_device(targets), fresh

    def _to_device(self, array: NDArray[np.int64]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)
