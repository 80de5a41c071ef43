"""What a run has recorded of how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from chargen.errors import CheckpointError
from chargen.runs.loaded import LoadedModel
from chargen.runs.metrics import read_metrics

ACCURACY, F1 = "accuracy", "f1"
_WHOLE = ("classify", "infill")
"""Tasks whose accuracy counts what they are for: labels, and single gaps."""


def measured(loaded: LoadedModel) -> Mapping[str, float]:
    """The figures of a run's weights on its validation split, by the names that a card has.

    The bits stand beside the weights; the others are in the record of the training, where that is
    still there.
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
    """What was recorded of the evaluation that the weights had, if that is there."""
    with suppress(CheckpointError):
        for line in reversed(read_metrics(loaded.path)):
            if (
                line["event"] == "evaluation"
                and line["step"] == loaded.step
                and line["bits_per_char"] == loaded.bits_per_char
            ):
                return dict(line)
    return {}
