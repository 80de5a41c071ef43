"""How a run went, from its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from chargen.errors import CheckpointError
from chargen.runs.layout import MODEL
from chargen.runs.tensors import read_facts


@dataclass(frozen=True)
class History:
    """How a run went.

    Attributes:
        steps: made so far.
        seconds: of training so far.
        reason: why it ended; None: it hasn't ended.
        loss: nats per piece, in the last record.
        chars_per_second: of training, the median of the records.
        evaluations: step and bits per character of each.
        best_bits_per_char: the lowest of them.
    """

    steps: int
    seconds: float
    reason: str | None
    loss: float | None
    chars_per_second: float | None
    evaluations: tuple[tuple[int, float], ...]
    best_bits_per_char: float | None

    @property
    def last_bits_per_char(self) -> float | None:
        """Of the last evaluation."""
        return self.evaluations[-1][1] if self.evaluations else None


def history_of(lines: Sequence[dict[str, Any]]) -> History:
    """The history that the lines of a run's metrics tell."""
    evaluations = tuple(
        (line["step"], line["bits_per_char"])
        for line in lines
        if line["event"] == "evaluation" and line["bits_per_char"] is not None
    )
    last = lines[-1] if lines else None
    records = [line for line in lines if line["event"] == "step"]
    return History(
        steps=max((line["step"] for line in lines), default=0),
        seconds=max((line["seconds"] for line in lines), default=0.0),
        reason=last["reason"] if last and last["event"] == "finished" else None,
        loss=records[-1]["loss"] if records else None,
        chars_per_second=median(r["chars_per_second"] for r in records) if records else None,
        evaluations=evaluations,
        best_bits_per_char=min((bits for _, bits in evaluations), default=None),
    )


def history_of_run(run: Path, lines: Sequence[dict[str, Any]]) -> History:
    """The history of a run, from the lines of its metrics.

    One that has none was exported, or averaged: its weights tell their step and their score.
    """
    history = history_of(lines)
    if not lines:
        with suppress(CheckpointError):
            facts = read_facts(run, MODEL)
            return replace(history, steps=facts.step, best_bits_per_char=facts.bits_per_char)
    return history
