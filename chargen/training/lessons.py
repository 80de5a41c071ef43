"""What a single step of training learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from chargen.machine.team import Team
from chargen.network.base import ModelState, map_state
from chargen.network.dropout import Dropout


class Lesson(Protocol):
    """Rows that a step learns from, which can be taken apart."""

    @property
    def rows(self) -> int:
        """B, texts or lanes side by side."""

    @property
    def pieces(self) -> int:
        """The number of predictions that the loss is the mean of."""

    @property
    def read(self) -> int:
        """The number of pieces that are read."""

    def part(self, rows: slice) -> Self:
        """Some of the rows."""

    def loss(self, model: Any, dropout: Dropout | None) -> tuple[Tensor, ModelState]:
        """The mean loss in nats, and the state that is carried on, if there is one."""


@dataclass(frozen=True)
class Share:
    """What one process of a team learns from in a step.

    Attributes:
        lesson: its own rows.
        first: the place of its first row among those of all processes.
        rows, pieces, read: of all processes together; see ``Lesson``.
        idle: the process has no row of its own: it reads another's, whose loss doesn't count.
    """

    lesson: Lesson
    first: int
    rows: int
    pieces: int
    read: int
    idle: bool = False

    @classmethod
    def whole(cls, lesson: Lesson) -> Self:
        """The share of a process on its own."""
        return cls(lesson, 0, lesson.rows, lesson.pieces, lesson.read)

    @classmethod
    def of(cls, lesson: Lesson, team: Team) -> Self:
        """This process's share of a lesson that all processes have made alike."""
        own = team.share(lesson.rows)
        if own == slice(0, lesson.rows):
            return cls.whole(lesson)
        idle = own.start == own.stop
        own = slice(0, 1) if idle else own
        totals = lesson.rows, lesson.pieces, lesson.read
        return cls(lesson.part(own), own.start, *totals, idle=idle)


@dataclass(frozen=True)
class Passage:
    """A window over all lanes of a text.

    Attributes:
        ids, targets: what is read and what follows, (T, B) int64 each.
        state: before the window.
        counted: P_n of the targets, (T, B), where n-grams were counted.
    """

    ids: Tensor
    targets: Tensor
    state: ModelState
    counted: Tensor | None = None

    @property
    def rows(self) -> int:
        return self.ids.shape[1]

    @property
    def pieces(self) -> int:
        return self.ids.numel()

    @property
    def read(self) -> int:
        return self.pieces

    def part(self, rows: slice) -> Passage:
        counted = None if self.counted is None else self.counted[:, rows]
        state = map_state(self.state, lambda tensor: tensor[rows])
        return replace(
            self,
            ids=self.ids[:, rows],
            targets=self.targets[:, rows],
            state=state,
            counted=counted,
        )

    def loss(self, model: Any, dropout: Dropout | None) -> tuple[Tensor, ModelState]:
        loss, after = model.loss(self.ids, self.targets, self.state, dropout, self.counted)
        return loss, after


class WholeTexts:
    """What lessons of whole texts have in common: each piece of ``lengths`` (B,) is predicted."""

    lengths: Tensor

    @property
    def rows(self) -> int:
        return len(self.lengths)

    @property
    def pieces(self) -> int:
        return int(self.lengths.sum())

    @property
    def read(self) -> int:
        return self.pieces


@dataclass(frozen=True)
class Texts(WholeTexts):
    """Whole texts side by side, each read from the initial state.

    Attributes:
        ids, targets: what is read and what follows, (T, B) int64 each, padded at the end.
        lengths: of the texts, (B,) int64.
        v: labels, (B, L), or None.
        counted: P_n of the targets, (T, B), where n-grams were counted.
    """

    ids: Tensor
    targets: Tensor
    lengths: Tensor
    v: Tensor | None = None
    counted: Tensor | None = None

    def part(self, rows: slice) -> Texts:
        return Texts(
            self.ids[:, rows],
            self.targets[:, rows],
            self.lengths[rows],
            None if self.v is None else self.v[rows],
            None if self.counted is None else self.counted[:, rows],
        )

    def loss(self, model: Any, dropout: Dropout | None) -> tuple[Tensor, ModelState]:
        within = inside(self.lengths, len(self.ids))
        loss = model.loss_of_texts(self.ids, self.targets, within, self.v, dropout, self.counted)
        return loss, ()


@dataclass(frozen=True)
class Labelled:
    """Whole texts side by side, and the value of each one's label.

    Attributes:
        ids: what is read, (T, B) int64, padded at the end.
        lengths: of the texts, (B,) int64.
        values: numbers of values, (B,) int64; −1 for a text without a label, which isn't learnt.
    """

    ids: Tensor
    lengths: Tensor
    values: Tensor

    @property
    def rows(self) -> int:
        return len(self.lengths)

    @property
    def pieces(self) -> int:
        return max(1, int((self.values >= 0).sum()))

    @property
    def read(self) -> int:
        return int(self.lengths.sum())

    def part(self, rows: slice) -> Labelled:
        return Labelled(self.ids[:, rows], self.lengths[rows], self.values[rows])

    def loss(self, model: Any, dropout: Dropout | None) -> tuple[Tensor, ModelState]:
        return model.loss(self.ids, self.lengths, self.values, dropout), ()


def inside(lengths: Tensor, steps: int) -> Tensor | None:
    """The places of what is no padding among T·B positions, (N,); None where nothing is padded."""
    if int(lengths.min()) == steps:
        return None
    within = torch.arange(steps, device=lengths.device)[:, None] < lengths
    return within.flatten().nonzero().squeeze(1)
