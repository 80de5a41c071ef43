"""The events of a training run, as the loop yields them: displays, logs and tests read these."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happens after ``step`` steps and ``seconds`` of training."""

    step: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """One line of ``metrics.jsonl``."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Started(Event):
    """The run begins, or goes on from ``step``.

    Attributes:
        parameters: how many numbers the network learns.
        train_characters: characters that are learnt from.
        steps_per_epoch: steps of one pass over them.
        seq_length, batch_size: a step reads a window of T characters in B lanes.
        bits_per_nat, unknown_bits: a training loss of x nats per piece is ``x * bits_per_nat +
            unknown_bits`` in the unit of evaluations.
        mixed: whether the loss is the mean of that with counts and that without.
        notes: what the user should know, one line each.
        unit: of evaluations, such as ``bits per character``.
    """

    parameters: int
    threads: int
    device: str
    train_characters: int
    steps_per_epoch: float
    seq_length: int
    batch_size: int
    bits_per_nat: float
    unknown_bits: float
    mixed: bool
    notes: tuple[str, ...] = ()
    unit: str = "bits per character"


@dataclass(frozen=True)
class Earlier(Event):
    """What earlier sittings of a resumed run have recorded; follows ``Started``, not recorded.

    Attributes:
        losses: pairs of step and loss in nats per piece.
        evaluations: pairs of step and bits per character.
        samples: pairs of step and text, the last few.
    """

    losses: tuple[tuple[int, float], ...]
    evaluations: tuple[tuple[int, float], ...]
    samples: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Planned(Event):
    """The number of steps of the run, and about how long they will take.

    Attributes:
        total_steps: earlier sittings included.
        total_seconds: likewise.
        fixed: False: an estimate. A run by the clock fixes the number when it has seen more.
    """

    total_steps: int
    total_seconds: float
    fixed: bool


@dataclass(frozen=True)
class Step(Event):
    """Some steps were made: means since the last of these events.

    Attributes:
        loss: in nats per piece.
        grad_norm: global L2 norm before clipping.
        clipped: share of the steps whose gradient was clipped.
        lr: learning rate of the last step.
        epoch: passes over the text so far.
        chars_per_second: of the steps alone, without evaluations.
        seconds_left: until the planned end, evaluations included; None: not known yet.
    """

    loss: float
    grad_norm: float
    clipped: float
    lr: float
    epoch: float
    chars_per_second: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class Evaluation(Event):
    """The validation split, or its beginning, was scored.

    What a network tells is a character, or the label of a text.

    Attributes:
        bits_per_char, nats_per_char: what each costs, in the mean.
        accuracy: share of them that were the likeliest.
        characters: that were scored.
        best: whether no evaluation before was better.
        macro_f1: the mean F1 of the labels that a text has; None: it isn't labels that are told.
    """

    bits_per_char: float
    nats_per_char: float
    accuracy: float
    characters: int
    best: bool
    macro_f1: float | None = None

    def to_dict(self) -> dict[str, Any]:
        found = super().to_dict()
        return {
            name: each for name, each in found.items() if name != "macro_f1" or each is not None
        }


@dataclass(frozen=True)
class Sample(Event):
    """A text written by the model as it is now."""

    text: str


@dataclass(frozen=True)
class Checkpoint(Event):
    """What a resume needs is on disk."""

    path: str


@dataclass(frozen=True)
class RolledBack(Event):
    """The loss was not finite: training goes back to ``step`` with a lower learning rate.

    Attributes:
        failed_step: the step after which that was found.
        lr_scale: factor of all learning rates from now on.
    """

    failed_step: int
    lr_scale: float


@dataclass(frozen=True)
class Finished(Event):
    """The run ends.

    Attributes:
        reason: ``done``, ``patience``, ``time``, ``interrupted``, or ``diverged``, after which an
            error follows.
        best_bits_per_char: of the best evaluation; None without a validation split.
        run: path of the run folder.
    """

    reason: str
    best_bits_per_char: float | None
    run: str


class ShareDone:
    """The share of a run's steps that is done, by its events.

    Attributes:
        share: 0 until the steps are planned; it never falls, though their number may grow.
    """

    def __init__(self) -> None:
        self.share, self._total = 0.0, 0

    def note(self, event: Event) -> None:
        if isinstance(event, Planned):
            self._total = event.total_steps
        if self._total:
            self.share = max(self.share, min(1.0, event.step / self._total))
