"""Windows over contiguous lanes, for truncated backpropagation through time.

The stream is a newline, which is not charged, followed by the tokens. It is cut into B lanes of
L = N // B targets. At each step a window of T time steps covers all lanes at once, and the caller
carries the state from one window to the next. Every pass may begin at another place of the text
and go round: then the batches of two passes differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from chargen.errors import CorpusError

_Number = TypeVar("_Number", bound=np.generic)

# Shorter lanes would start anew too often to learn from the carried state.
WINDOWS_PER_LANE = 4


class Windows:
    """The windows of all passes over a text, each computed from its number alone.

    Attributes:
        batch_size: B, the number of lanes.
        seq_length: T, time steps per window; the last window of an epoch may have fewer.
        lane_length: L, targets per lane. N - B·L tokens of a pass are in no lane.
        steps_per_epoch: windows per epoch, ceil(L / T).
    """

    def __init__(
        self,
        tokens: NDArray[np.integer[Any]],
        batch_size: int,
        seq_length: int,
        newline_id: int,
        seed: int | None = None,
        lanes: slice | None = None,
    ) -> None:
        """Use ``tokens``, (N,), which may be a read-only memory map; nothing is copied.

        With a ``seed``, each pass but the first begins at a place that depends on it; otherwise
        all begin with the first token. With ``lanes``, windows have only these of the B lanes.
        """
        self.batch_size = batch_size
        self.seq_length = seq_length
        self.lane_length = len(tokens) // batch_size
        if not self.lane_length:
            raise CorpusError(
                f"A text of {len(tokens)} tokens is too short for {batch_size} lanes.",
                "Lower `batch_size`, or add text.",
            )
        self.steps_per_epoch = -(-self.lane_length // seq_length)
        self._tokens, self._newline_id, self._seed = tokens, newline_id, seed
        self._lanes = np.arange(batch_size)[lanes or slice(None)]

    def window(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
        """The window of the global step ``step``.

        Returns:
            Inputs and targets, each (T', B) int64 and contiguous, the targets one time step
            ahead; and whether the state is reset, as it is in the first window of an epoch.
        """
        places = self._places(step)
        targets = self._tokens.take(places).astype(np.int64)
        inputs = np.empty_like(targets)
        inputs[0] = self._tokens.take(places[0] - 1)
        inputs[1:] = targets[:-1]
        inputs[places == 0] = self._newline_id
        return inputs, targets, step % self.steps_per_epoch == 0

    def of_targets(self, values: NDArray[_Number], step: int) -> NDArray[_Number]:
        """The values of a window's targets, (T', B) and contiguous, out of one per token, (N,)."""
        return values.take(self._places(step))

    def span(self, step: int) -> tuple[int, int]:
        """The first target of a window in each lane, and the one after its last."""
        start = step % self.steps_per_epoch * self.seq_length
        return start, min(start + self.seq_length, self.lane_length)

    def stretches(self, step: int, start: int, end: int) -> Iterator[list[tuple[int, int]]]:
        """Where targets ``start`` to ``end`` of each lane stand in the text in the pass of a step.

        One range of tokens a lane, or two where it goes round.
        """
        size, offset = len(self._tokens), self._offset(step)
        for lane in self._lanes.tolist():
            first = (offset + lane * self.lane_length + start) % size
            last = first + end - start
            yield [(first, last)] if last <= size else [(first, size), (0, last - size)]

    def _places(self, step: int) -> NDArray[np.int64]:
        """The places of a window's targets in the text, (T', B)."""
        start, end = self.span(step)
        lanes = self._lanes * self.lane_length + self._offset(step)
        places: NDArray[np.int64] = np.arange(start, end)[:, None] + lanes
        places %= len(self._tokens)
        return places

    def _offset(self, step: int) -> int:
        """Where the pass of a step begins: the same on every machine."""
        number = step // self.steps_per_epoch
        if self._seed is None or not number:
            return 0
        digest = sha256(f"{self._seed} {number}".encode()).digest()
        return int.from_bytes(digest[:8], "little") % len(self._tokens)


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
