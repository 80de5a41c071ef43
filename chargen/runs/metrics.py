"""``metrics.jsonl``: one event a line, appended; a torn last line is lost, nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from chargen.errors import CheckpointError
from chargen.files import write_bytes
from chargen.training.events import Event, RolledBack


class MetricsLog:
    """Appends events to a file, after dropping those newer than a checkpoint at ``step``.

    A run that goes back to a checkpoint goes through the same steps again: then too they are
    dropped, so that steps and seconds never fall from line to line.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._open_at(step)

    def _open_at(self, step: int) -> None:
        forget_after(self._path, step)
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, event: Event) -> None:
        if isinstance(event, RolledBack):
            self._file.close()
            self._open_at(event.step)
        self._file.write(_line(event.to_dict()))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file, in order; none where there is no file.

    Raises:
        CheckpointError: a line before the last is not one of ours.
    """
    if not path.exists():
        return []
    events = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            event = json.loads(line)
            complete = {"event", "step", "seconds"} <= event.keys()
        except (ValueError, AttributeError):
            complete = False
        if not complete:
            raise CheckpointError(
                f"{path} is damaged: line {number} is no event.",
                "Delete that line, or the file: only curves and history come from it.",
            )
        events.append(event)
    return events


def forget_after(path: Path, step: int) -> None:
    """Drop the lines that are newer than a checkpoint at ``step``, and a torn last one."""
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    write_bytes(path, "".join(map(_line, kept)).encode("utf-8"))


def _line(event: dict[str, Any]) -> str:
    """JSON knows no infinity and no NaN: what isn't finite becomes null."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in event.items()
    }
    return json.dumps(finite, ensure_ascii=False, allow_nan=False) + "\n"
