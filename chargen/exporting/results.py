"""The figures that a run recorded on its validation split."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from chargen.errors import CheckpointError
from chargen.runs.loaded import LoadedModel
from chargen.runs.metrics import read_metrics

ACCURACY, F1 = "accuracy", "f1"
_WHOLE = ("classify", "infill")
"""Tasks whose accuracy says how well they are solved: of labels, and of single gaps."""


def measured(loaded: LoadedModel) -> Mapping[str, float]:
    """The figures of a run's weights on its validation split, by the names that a card has.

    The bits are stored with the weights; the others are in the metrics of the training, if the run
    still has them.
    """
    bits, task = loaded.bits_per_char, loaded.config.model.task
    if bits is None:
        return {}
    recorded, found = _recorded(loaded) if task in _WHOLE else {}, {}
    for figure, name in ((ACCURACY, "accuracy"), (F1, "macro_f1")):
        if recorded.get(name) is not None:
            found[figure] = float(recorded[name])
    return found | {bits_of(task): bits}


def bits_of(task: str) -> str:
    """The name of the bits that a network of a task is scored by."""
    return "bits_per_label" if task == "classify" else "bits_per_character"


def _recorded(loaded: LoadedModel) -> Mapping[str, Any]:
    """The recorded evaluation of the weights, or nothing."""
    with suppress(CheckpointError):
        for line in reversed(read_metrics(loaded.path)):
            if (
                line["event"] == "evaluation"
                and line["step"] == loaded.step
                and line["bits_per_char"] == loaded.bits_per_char
            ):
                return dict(line)
    return {}
