"""``metrics.jsonl``: one event a line, appended; a torn last line is lost, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chargen.files import write_bytes
from chargen.training.events import Event


class MetricsLog:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: Event) -> None:
        self._file.write(json.dumps(event.to_dict(), ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file, in order; none where there is no file."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def forget_after(path: Path, step: int) -> None:
    """Drop the lines that are newer than a checkpoint at ``step``, and a torn last one."""
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
    write_bytes(path, text.encode("utf-8"))
