"""The output file of a batch: whether it may be replaced or resumed, and its present lines.

A symbolic link is followed. A device, pipe or socket is written to in place: no other file is made
beside it, and it can't be resumed.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.errors import GenerationError
from chargen.files import followed, is_special
from chargen.generation.batch.lines import line_key


def check_output(name: str, out: Path, *, resume: bool, force: bool) -> None:
    """Raise GenerationError if the output can't be written, or must not be changed."""
    if is_special(out):
        if resume:
            raise GenerationError(
                f"{out} is not a plain file, so its output can't be resumed.",
                "Leave out `resume`, or choose a file as `out`.",
            )
        return
    if name != "-" and out.exists() and out.samefile(name):
        raise GenerationError("The output is the job file itself.", "Choose another `out`.")
    if out.is_dir():
        raise GenerationError(f"{out} is a folder.", "Choose a file as `out`.")
    folder = followed(out).parent
    if not folder.is_dir():
        raise GenerationError(
            f"There is no folder {folder}.", "Create it, or choose another `out`."
        )
    if out.exists() and not (resume or force):
        raise GenerationError(
            f"{out} exists already.",
            "Complete it with `resume=True`, or replace it with `force=True`.",
        )


def check_unchanged(identity: dict[str, Any], sidecar: Path, out: Path) -> None:
    """Raise GenerationError if anything has changed since ``sidecar`` was written."""
    try:
        before = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GenerationError(
            f"{out} can't be resumed: {sidecar.name}, which records its job file and options, is "
            "missing or damaged.",
            "Start again with `force=True`, or choose another `out`.",
        ) from error
    now = json.loads(json.dumps(identity))
    changed = sorted(_differences(before, now))
    if changed:
        raise GenerationError(
            f"{out} was begun with other settings: {', '.join(changed)} changed.",
            "Use the same job file, checkpoint and options as before, or start again with "
            "`force=True`.",
        )


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), key)
    elif before != now:
        yield name


def drop_torn_line(path: Path) -> None:
    """Remove an incomplete last line, left by a kill."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        file.truncate(end)


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def written_lines(path: Path) -> tuple[int, NDArray[np.uint64]]:
    """The number of error lines, and the sorted keys of the others."""
    errors, keys = 0, array("Q")
    with path.open("rb") as file:
        for line in file:
            values = json.loads(line)
            if "error" in values:
                errors += 1
            else:
                keys.append(line_key(values["id"], values.get("sample")))
    return errors, np.sort(np.frombuffer(keys, np.uint64))


def contains(keys: NDArray[np.uint64], key: int) -> bool:
    """Whether ``key`` is among the sorted ``keys``."""
    place = int(np.searchsorted(keys, np.uint64(key)))
    return place < len(keys) and int(keys[place]) == key
