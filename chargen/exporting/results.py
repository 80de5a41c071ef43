"""What a run has recorded of how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from chargen.errors import CheckpointError
from chargen.runs.loaded import LoadedModel
from chargen.runs.metrics import read_metrics

ACCURACY = "accuracy"
_WHOLE = ("classify", "infill")
"""Tasks whose accuracy counts what they are for: labels, and single gaps."""


def measured(loaded: LoadedModel) -> Mapping[str, float]:
    """The figures of a run's weights on its validation split, by the names that a card has.

    The bits stand beside the weights; the accuracy is in the record of the training, where that
    is still there.
    """
    bits, task = loaded.bits_per_char, loaded.config.model.task
    if bits is None:
        return {}
    found = {}
    if task in _WHOLE and (accuracy := _accuracy(loaded)) is not None:
        found[ACCURACY] = accuracy
    return found | {bits_of(task): bits}


def bits_of(task: str) -> str:
    """The name of the bits that a network of a task is scored by."""
    return "bits_per_label" if task == "classify" else "bits_per_character"


def _accuracy(loaded: LoadedModel) -> float | None:
    """The accuracy in the record of the evaluation that the weights had."""
    with suppress(CheckpointError):
        for line in reversed(read_metrics(loaded.path)):
            if (
                line["event"] == "evaluation"
                and line["step"] == loaded.step
                and line["bits_per_char"] == loaded.bits_per_char
            ):
                return float(line["accuracy"])
    return None
