"""What happens in a training run, as the loop yields it: displays, logs and tests read these."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened after ``step`` steps, ``seconds`` into the training."""

    step: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """One line of ``metrics.jsonl``."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Started(Event):
    """The run begins, or goes on at ``step``."""

    parameters: int
    threads: int
    device: str
    train_characters: int
    steps_per_epoch: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned(Event):
    """The number of steps, and about how long they will take in all.

    Attributes:
        total_steps: of the run, earlier sittings included.
        total_seconds: likewise.
        fixed: False: an estimate. A run by the clock fixes the number when it has seen more.
    """

    total_steps: int
    total_seconds: float
    fixed: bool


@dataclass(frozen=True)
class Step(Event):
    """Some steps were made; means since the last of these events.

    Attributes:
        loss: nats a piece.
        grad_norm: global L2 norm before clipping.
        clipped: share of the steps in which the gradient was clipped.
    """

    loss: float
    grad_norm: float
    clipped: float
    lr: float
    epoch: float
    chars_per_second: float


@dataclass(frozen=True)
class Evaluation(Event):
    """The model was measured on the validation split, or on ``characters`` of it."""

    bits_per_char: float
    nats_per_char: float
    accuracy: float
    characters: int
    best: bool


@dataclass(frozen=True)
class Sample(Event):
    """A text that the model writes now."""

    text: str


@dataclass(frozen=True)
class Checkpoint(Event):
    """What a resume needs is on disk."""

    path: str


@dataclass(frozen=True)
class RolledBack(Event):
    """The loss was not finite: training goes back to ``step`` with a lower learning rate."""

    failed_step: int
    lr_scale: float


@dataclass(frozen=True)
class Finished(Event):
    """The run ends: ``reason`` is ``done``, ``patience``, ``time`` or ``interrupted``."""

    reason: str
    best_bits_per_char: float | None
    run: str
