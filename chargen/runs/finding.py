"""Finding runs: the folder where they lie, and one of them by path, by name, or as the newest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chargen.errors import CheckpointError, ConfigError, printable
from chargen.runs.layout import CONFIG, METRICS, MODEL, last_steps
from chargen.runs.reading import TRAIN_ONE, parse, regular_file, unreadable
from chargen.runs.shipped import is_shipped, shipped_run, stand_in

VARIABLE = "CHARGEN_RUNS"
_DEFAULT = "checkpoints"
_TAIL_BYTES = 1 << 16


def runs_folder(given: str | Path | None = None) -> Path:
    """The folder of the runs: the one given, else ``CHARGEN_RUNS``, else ``checkpoints``."""
    return Path(given or os.environ.get(VARIABLE) or _DEFAULT)


def check_name(name: str) -> None:
    """Raise ConfigError where ``name`` can't be the name of a run."""
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0"):
        raise ConfigError(
            f"{name!r} can't be the name of a run.",
            "Use a plain name that doesn't begin with a dot; `runs_dir` takes a path.",
        )


def check_new(name: str, folder: Path, remedy: str = "Choose another `name`.") -> None:
    """Check that ``name`` can be that of a new run in ``folder``.

    Raises:
        ConfigError: it can't be the name of a run.
        CheckpointError: it is taken.
    """
    check_name(name)
    if os.path.lexists(folder / name):
        raise CheckpointError(f"{folder / name} exists already.", remedy)


def name_of(run: Path) -> str:
    """What to call a run: the name of its folder, with escapes for bytes that are no UTF-8."""
    return printable(run.name or run.resolve().name)


def shown(run: Path) -> str:
    """How messages name a run: by its path, or a shipped one by its name."""
    return run.name if is_shipped(run) else printable(str(run))


def distinct_names(runs: Sequence[Path]) -> list[str]:
    """What to call each of several runs: their names, or the paths of those that share one."""
    names = [name_of(run) for run in runs]
    count = Counter(names)
    return [
        name if count[name] == 1 else printable(str(run))
        for run, name in zip(runs, names, strict=True)
    ]


def runs_in(folder: Path) -> list[Path]:
    """The runs in ``folder``, the newest first; those that were never trained come last.

    Hidden folders are never runs. Those that a checkout ships aren't counted among them.

    Raises:
        CheckpointError: the folder can't be listed.
    """
    try:
        found = [path for path in folder.iterdir() if _is_run(path)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(found, key=lambda run: (_is_trained(run), _touched(run), run.name), reverse=True)


def find_run(
    name: str | None, folder: Path, *, finished: bool = False, shipped: str | None = None
) -> Path:
    """A run by its path, by its name in ``folder``, or by that of a shipped one; None: the newest.

    Args:
        name: path or name; None: the newest run in ``folder``.
        folder: of the runs.
        finished: prefer the newest whose training has come to its end.
        shipped: the shipped run to use, with a ChargenWarning, where ``folder`` has no run.

    Raises:
        CheckpointError: there is no such folder; whether it holds a run shows when it is read.
    """
    if name is None:
        known = runs_in(folder)
        instead = None if known or shipped is None else stand_in(shipped, folder)
        if instead is not None:
            return instead
        if not known:
            raise CheckpointError(f"There is no run in {folder}.", "Train one first.")
        done = (run for run in known if finished and is_finished(run))
        return next(done, known[0])
    places = [Path(name)] if name.startswith(".") else [Path(name), folder / name]
    try:
        found = [path for path in places if path.is_dir()] if name else []
        if found:
            return next((path for path in found if (path / CONFIG).is_file()), found[0])
        is_file = Path(name).exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"There can't be a run {printable(name)!r:.200}: {reason}.", TRAIN_ONE
        ) from error
    if is_file and name:
        raise CheckpointError(f"{name} is a file, not a run folder.", TRAIN_ONE)
    if (of_package := shipped_run(name)) is not None:
        return of_package
    names = ", ".join(name_of(run) for run in runs_in(folder)[:10])
    raise CheckpointError(
        f"There is no run {name!r:.200}.",
        f"In {folder} there is: {names}." if names else TRAIN_ONE,
    )


def runs_named(name: str, folder: Path) -> list[Path]:
    """The run of a name, as ``find_run``; or all runs of a folder of runs, by name.

    Raises:
        CheckpointError: there is neither, or the folder can't be listed.
    """
    found = find_run(name, folder)
    return [found] if (found / CONFIG).is_file() else sorted(runs_in(found)) or [found]


def is_finished(run: Path) -> bool:
    """Whether the training of a run has come to its end, or it is a copy of what sampling needs.

    A run that has diverged is not.
    """
    try:
        if not last_steps(run):
            return (run / MODEL).is_file()
    except OSError:
        return False
    last = _last_recorded(run)
    return last.get("event") == "finished" and last.get("reason") != "diverged"


def _is_run(path: Path) -> bool:
    try:
        hidden = path.name.startswith(".")
        return not hidden and (path / CONFIG).is_file() and not is_shipped(path)
    except OSError:
        return False


def _touched(run: Path) -> float:
    """When something of a run was written last."""
    times = []
    for name in (CONFIG, METRICS, MODEL):
        try:
            times.append((run / name).stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


def _is_trained(run: Path) -> bool:
    """Whether a run has made a step, or is a copy of what sampling needs."""
    try:
        steps = last_steps(run)
        if not steps:
            return (run / MODEL).is_file()
        recorded = _last_recorded(run).get("step")
        return steps[0] > 0 or (isinstance(recorded, int) and recorded > 0)
    except OSError:
        return False


def _last_recorded(run: Path) -> dict[str, Any]:
    """The last whole line of a run's metrics; empty where none can be read."""
    try:
        metrics = regular_file(run, METRICS)
        with metrics.open("rb") as file:
            file.seek(max(0, metrics.stat().st_size - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).split(b"\n")
        line = parse(lines[-2], metrics)
    except (CheckpointError, LookupError, OSError):
        return {}
    return line if isinstance(line, dict) else {}
