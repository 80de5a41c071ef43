"""Windows over contiguous lanes, for truncated backpropagation through time.

The stream is a newline, which is not charged, followed by the tokens. It is cut into B lanes of
L = N // B targets. At each step a window of T time steps covers all lanes at once, and the caller
carries the state from one window to the next.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from chargen.errors import CorpusError

_Number = TypeVar("_Number", bound=np.generic)

# Shorter lanes would start anew too often to learn from the carried state.
WINDOWS_PER_LANE = 4


class Windows:
    """The windows of an epoch, each computed from its number alone.

    Attributes:
        batch_size: B, the number of lanes.
        seq_length: T, time steps per window; the last window of an epoch may have fewer.
        lane_length: L, targets per lane. The last N - B·L tokens are in no lane.
        steps_per_epoch: windows per epoch, ceil(L / T).
    """

    def __init__(
        self,
        tokens: NDArray[np.integer[Any]],
        batch_size: int,
        seq_length: int,
        newline_id: int,
    ) -> None:
        """Use ``tokens``, (N,), which may be a read-only memory map; nothing is copied."""
        self.batch_size = batch_size
        self.seq_length = seq_length
        self.lane_length = len(tokens) // batch_size
        if not self.lane_length:
            raise CorpusError(
                f"A text of {len(tokens)} tokens is too short for {batch_size} lanes.",
                "Lower `batch_size`, or add text.",
            )
        self.steps_per_epoch = -(-self.lane_length // seq_length)
        # (B, L), a view: lane b predicts tokens[b·L : (b+1)·L].
        self._lanes = tokens[: batch_size * self.lane_length].reshape(batch_size, -1)
        # (B,): the input before each lane's first target.
        self._before = np.concatenate(([newline_id], self._lanes[:-1, -1])).astype(np.int64)

    def window(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
        """The window of the global step ``step``.

        Returns:
            Inputs and targets, each (T', B) int64 and contiguous, the targets one time step
            ahead; and whether the state is reset, as it is in the first window of an epoch.
        """
        start, end = self.span(step)
        targets = self._lanes[:, start:end].T.astype(np.int64, order="C")
        inputs = np.empty_like(targets)
        inputs[0] = self._lanes[:, start - 1] if start else self._before
        inputs[1:] = targets[:-1]
        return inputs, targets, start == 0

    def of_targets(self, values: NDArray[_Number], step: int) -> NDArray[_Number]:
        """The values of a window's targets, (T', B) and contiguous, out of one per token, (N,)."""
        start, end = self.span(step)
        lanes = values[: self.batch_size * self.lane_length].reshape(self.batch_size, -1)
        return np.ascontiguousarray(lanes[:, start:end].T)

    def span(self, step: int) -> tuple[int, int]:
        """The first target of a window in each lane, and the one after its last."""
        start = step % self.steps_per_epoch * self.seq_length
        return start, min(start + self.seq_length, self.lane_length)


def fit(tokens_count: int, batch_size: int, seq_length: int) -> tuple[int, int]:
    """Reduce a batch size and window length to what a text of ``tokens_count`` tokens can fill.

    The batch is halved until each lane has at least WINDOWS_PER_LANE windows; then the window is
    shortened to the lane if the text is still too short.

    Raises:
        CorpusError: there are fewer than two tokens, so nothing can be learnt.
    """
    if tokens_count < 2:
        noun = "token" if tokens_count == 1 else "tokens"
        raise CorpusError(
            f"The training text has {tokens_count} {noun}; at least 2 are needed.",
            "Add text, or lower `val_frac`.",
        )
    while batch_size > 1 and tokens_count // batch_size < WINDOWS_PER_LANE * seq_length:
        batch_size //= 2
    return batch_size, min(seq_length, tokens_count // batch_size)
