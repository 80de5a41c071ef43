"""Averages of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chargen.training.averaging import AveragedRun


def average(
    runs: str | Path | Sequence[str | Path],
    *,
    name: str | None = None,
    runs_dir: str | Path | None = None,
) -> AveragedRun:
    """Make a run that is the average of others, which learnt one text from different seeds.

    Its logits are the means of theirs. It predicts better than they do on average, and as a rule
    better than any of them. It is a network of the same kind, with the units of all of them.

    Args:
        runs: run folders, or names in ``runs_dir``; a folder of runs, such as that of a sweep,
            stands for all in it.
        name: of the new run; None: that of the text, with a number.
        runs_dir: the folder of runs.

    Raises:
        CheckpointError: a run is missing, damaged, or not like the others; or the name is taken.
        ConfigError: fewer than two runs, or a name that can't be one.
    """
    from chargen.runs.finding import check_new, runs_folder, runs_named

    folder = runs_folder(runs_dir)
    if name is not None:
        check_new(name, folder)
    named = [runs] if isinstance(runs, (str, Path)) else runs
    found = [path for each in named for path in runs_named(str(each), folder)]
    from chargen.training.averaging import average_runs

    return average_runs(found, folder, name)
