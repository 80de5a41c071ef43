"""``metrics.jsonl``: one event a line, appended; a torn last line is lost, nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from chargen.errors import CheckpointError, printable
from chargen.files import write_bytes
from chargen.runs.layout import METRICS
from chargen.runs.reading import MissingFileError, parse, regular_file, typed, unreadable

_MOST_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class _Line:
    """What every line has; others may follow, by the kind of event."""

    event: str
    step: int
    seconds: float

    def __post_init__(self) -> None:
        if self.step < 0 or self.seconds < 0:
            raise ValueError("a step or a time below 0")


@dataclass(frozen=True)
class _Step(_Line):
    loss: float
    grad_norm: float
    clipped: float
    lr: float
    epoch: float
    chars_per_second: float


@dataclass(frozen=True)
class _Evaluation(_Line):
    bits_per_char: float | None
    nats_per_char: float | None
    accuracy: float
    characters: int


@dataclass(frozen=True)
class _Finished(_Line):
    reason: str


_SCHEMAS: Mapping[Any, type[_Line]] = {
    "step": _Step,
    "evaluation": _Evaluation,
    "finished": _Finished,
}
"""The events that curves and history are made of; of others only the beginning is read."""


class MetricsLog:
    """Appends events to a run's metrics, after dropping those newer than a checkpoint at ``step``.

    Raises:
        CheckpointError: what is there is damaged.
        OSError: the file can't be written.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._run = run
        self._file = self._opened_at(step)

    def _opened_at(self, step: int) -> TextIO:
        forget_after(self._run, step)
        return (self._run / METRICS).open("a", encoding="utf-8")

    def rewind(self, step: int) -> None:
        """Drop what is newer than a checkpoint at ``step``: the same steps are made again."""
        self._file.close()
        self._file = self._opened_at(step)

    def write(self, event: Mapping[str, Any]) -> None:
        """Append a line: ``event``, ``step``, ``seconds``, and what else belongs to it."""
        self._file.write(_json(event))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's metrics, in order; none where there is no file.

    Raises:
        CheckpointError: the file can't be read, or a line before the last is no event.
    """
    return [event for _, event in _lines(run)]


def forget_after(run: Path, step: int) -> None:
    """Drop the lines that are newer than a checkpoint at ``step``, and a torn last one."""
    kept = [line for line, event in _lines(run) if event["step"] <= step]
    write_bytes(run / METRICS, b"".join(kept))


def _lines(run: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each whole line of the metrics, as bytes and as the event that it stands for."""
    path = run / METRICS
    try:
        with regular_file(run, METRICS).open("rb") as file:
            number = 0
            while line := file.readline(_MOST_LINE_BYTES):
                number += 1
                if not line.endswith(b"\n") and len(line) < _MOST_LINE_BYTES:
                    return  # torn
                yield line, _event(line, number, path)
    except MissingFileError:
        return
    except OSError as error:
        raise unreadable(path, error) from error


def _event(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        event = parse(line, path)
        kind = event.get("event") if isinstance(event, dict) else None
        schema = _SCHEMAS.get(kind, _Line) if isinstance(kind, str) else _Line
        typed(line, schema, path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} is damaged: line {number} is no event.",
            "Delete that line, or the file: only curves and history come from it.",
        ) from error
    return dict(event)


def _json(event: Mapping[str, Any]) -> str:
    """One line of JSON, which knows no infinity and no NaN: they become null."""
    values = {name: _plain(value) for name, value in event.items()}
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return printable(value) if isinstance(value, str) else value
