"""Windows on their way to the device that trains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.corpus.windows import Windows
from chargen.training.counts import CountedText


class Window(NamedTuple):
    """A window on the device.

    Attributes:
        ids, targets: what is read and what follows, (T, B) int64 each.
        fresh: whether the state starts anew.
        counted: P_n of the targets, (T, B) float32, where n-grams were counted.
    """

    ids: Tensor
    targets: Tensor
    fresh: bool
    counted: Tensor | None


class Feed:
    """The windows as tensors on a device, by their numbers as in ``Windows``.

    They are sent to a CUDA device from pinned memory, without waiting. ``prepare`` starts that
    while the device is still busy with the window before. On a CPU nothing is copied.

    Args:
        windows: of the text.
        device: that trains.
        counted: P_n of the text, or None.
    """

    def __init__(
        self, windows: Windows, device: torch.device, counted: CountedText | None = None
    ) -> None:
        self._windows, self._device, self._counted = windows, device, counted
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
        counted = None
        if self._counted is not None:
            counted = self._to_device(self._counted.of_window(self._windows, step))
        return Window(self._to_device(ids), self._to_device(targets), fresh, counted)

    def _to_device(self, array: NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)
