"""Resumable checkpoints: ``last/STEP``, all that an exact resume needs.

Each is a folder that appears whole and durable (``chargen.files.new_folder``). The
older ones are removed once a newer one is on disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from chargen.errors import CheckpointError
from chargen.files import new_folder, write_json
from chargen.runs import expected_tensors
from chargen.runs.config import RunConfig
from chargen.runs.layout import CONFIG, LAST, STATE_TENSORS, STATE_VALUES, last_steps
from chargen.runs.reading import MOST_VALUES_BYTES, parse, read_file, unreadable
from chargen.runs.state_values import sealed, unsealed
from chargen.runs.tensors import Kind, read_facts, read_tensors, require_header, write_tensors

_MOST_LISTINGS = 1000
"""Times that checkpoints are listed while another process replaces them."""

T = TypeVar("T")
Tensors = Mapping[str, Tensor]
Values = Mapping[str, Any]


def steps_of(run: Path) -> list[int]:
    """The steps of a run's resumable checkpoints, the newest first."""
    try:
        return last_steps(run)
    except OSError as error:
        raise unreadable(run / LAST, error) from error


def write(run: Path, tensors: Tensors, values: Values) -> Path:
    """Write a checkpoint in one instant, and return its folder.

    It is durable once ``new_folder`` has flushed and renamed it. ``values`` are the fields of a
    ``StateValues``.
    """
    place = run / LAST / str(values["step"])
    with new_folder(place) as folder:
        sha256 = write_tensors(folder / STATE_TENSORS, tensors, values["step"])
        _write_values(folder, sha256, values)
    return place


def change(run: Path, step: int, values: Values) -> None:
    """Replace the values of the checkpoint at ``step``; its tensors stay."""
    facts = read_facts(run, _tensors(step))
    _write_values(run / LAST / str(step), facts.sha256, values)


def _write_values(folder: Path, tensors_sha256: str, values: Values) -> None:
    path = folder / STATE_VALUES
    write_json(path, sealed(values, tensors_sha256, path))


def remove_others(run: Path, step: int) -> None:
    """Remove all checkpoints but the one at ``step``."""
    for other in last_steps(run):
        if other != step:
            shutil.rmtree(run / LAST / str(other), ignore_errors=True)


def read_newest(run: Path, config: RunConfig) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and values of the newest whole checkpoint; None where there is none.

    Raises:
        CheckpointError: there are checkpoints, and none is whole.
    """
    return _newest(run, lambda step: _read(run, step, config))


def require_sizes(run: Path, config: RunConfig) -> None:
    """Find out from headers alone whether a checkpoint fits the config, if there is any.

    So a config of an impossible size is found before memory is asked for.

    Raises:
        CheckpointError: there are checkpoints, and none fits.
    """

    def check(step: int) -> bool:
        require_header(run, _tensors(step), _kinds(run, step, config))
        return True

    _newest(run, check)


def _newest(run: Path, read: Callable[[int], T]) -> T | None:
    """What ``read`` makes of the newest step that it accepts; None where there is no step.

    Another process may save meanwhile, and remove a checkpoint while it is read here. Then the
    listing has changed, and is read again: a newer checkpoint is there.
    """
    steps = steps_of(run)
    for _ in range(_MOST_LISTINGS):
        damage: CheckpointError | None = None
        for step in steps:
            try:
                return read(step)
            except CheckpointError as error:
                damage = damage or error
            before, steps = steps, steps_of(run)
            if steps != before:
                break
        else:
            if damage is not None:
                raise damage
            return None
    raise CheckpointError(f"The checkpoints of {run} are replaced too fast.", "Try again.")


def _read(run: Path, step: int, config: RunConfig) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, facts = read_tensors(run, _tensors(step), _kinds(run, step, config))
    name = f"{LAST}/{step}/{STATE_VALUES}"
    values = parse(read_file(run, name, MOST_VALUES_BYTES), run / name)
    return tensors, unsealed(values, facts.sha256, step, run / name)


def _kinds(run: Path, step: int, config: RunConfig) -> dict[str, Kind]:
    network = expected_tensors.outline(config.model, run / CONFIG)
    options = config.training, config.recipe
    return expected_tensors.of_checkpoint(network, *options, step, run / CONFIG)


def _tensors(step: int) -> str:
    return f"{LAST}/{step}/{STATE_TENSORS}"
