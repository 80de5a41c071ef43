"""The output file of a batch: whether it may be replaced or resumed, and its present lines.

A symbolic link is followed. A device, pipe or socket is written to in place: no other file is made
beside it, and it can't be resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.errors import ConfigError, GenerationError
from chargen.files import flush, followed, is_special, read_json

STANDARD_OUTPUT = Path("/dev/stdout")
FORMAT = 1
SIDECAR = ".run.json"
"""Suffix of the file beside an output."""
_MOST_SIDECAR_BYTES = 1 << 20


def output_path(out: str | Path) -> Path:
    """Return the path of an output; ``-`` is standard output."""
    return STANDARD_OUTPUT if str(out) == "-" else Path(out)


def name_of_output(out: str | Path) -> str:
    """Return what messages call an output."""
    return "standard output" if output_path(out) == STANDARD_OUTPUT else str(out)


def check_output(name: str, out: Path, *, resume: bool, force: bool) -> None:
    """Check that the output can be written, and may be changed.

    Raises:
        ConfigError: it is no file that can be resumed.
        GenerationError: it can't be written, or must not be changed.
    """
    if is_special(out):
        if resume:
            raise ConfigError(
                f"The output is {name_of_output(out)}, not a file that can be resumed.",
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


def sidecar_of(target: Path) -> Path:
    """Return the path of the file beside an output that records what it was made from."""
    return target.with_name(target.name + SIDECAR)


def read_sidecar(path: Path) -> dict[str, Any]:
    """Read the file beside an output; OSError or ValueError where it is missing or damaged."""
    values = read_json(path, _MOST_SIDECAR_BYTES)
    if not isinstance(values, dict):
        raise ValueError("it is no object")
    return values


def check_unchanged(identity: dict[str, Any], sidecar: Path, out: Path) -> dict[str, Any] | None:
    """What ``sidecar`` records of the lines that were written; None: nothing.

    Raises:
        GenerationError: the file is missing or damaged, or what it was made from has changed.
    """
    try:
        before = read_sidecar(sidecar)
        written, _ = before.pop("written", None), before.pop("lines", None)
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
    return written if isinstance(written, dict) else None


def write_sidecar(path: Path, values: dict[str, Any]) -> None:
    """Replace the file beside an output in one instant; the caller holds the output.

    What a kill leaves has a fixed name, so that the next one replaces it.
    """
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(json.dumps(values, ensure_ascii=False, indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    flush(path.parent)


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), key)
    elif before != now:
        yield name


def contains(keys: NDArray[np.uint64], key: int) -> bool:
    """Whether ``key`` is among the sorted ``keys``."""
    place = int(np.searchsorted(keys, np.uint64(key)))
    return place < len(keys) and int(keys[place]) == key
