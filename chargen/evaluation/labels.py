"""What a classifier tells of texts: the probabilities of values, and how good they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.batching import beginnings
from chargen.corpus.record_split import RecordSplit
from chargen.evaluation.scores import Score
from chargen.evaluation.texts import by_length
from chargen.machine.precision import exact_float32
from chargen.network.classifier import Classifier


@exact_float32()
def log_probabilities(
    model: Classifier, split: RecordSplit, newline_id: int
) -> NDArray[np.float64]:
    """Return log p of each value for each text, (n, L); the sums of p are 1."""
    found = np.zeros((len(split), model.config.labels))
    device = model.table.device
    with torch.no_grad():
        for records in by_length(split):
            arrays = beginnings(split, records, newline_id)
            o = model(*(torch.from_numpy(each).to(device) for each in arrays))
            found[records] = o.double().log_softmax(-1).cpu().numpy()
    return found


def score_labels(found: NDArray[np.float64], numbers: NDArray[np.integer[Any]]) -> Score:
    """Score what is told of texts; a label counts as a character.

    Args:
        found: log p of values, (n, L).
        numbers: 1 + the value that each text has, (n,); 0 for none, which isn't scored.
    """
    rows = np.flatnonzero(numbers)
    values = numbers[rows].astype(np.int64) - 1
    nats = -float(found[rows, values].sum())
    correct = int((found[rows].argmax(-1) == values).sum())
    return Score(len(rows), len(rows), nats, correct, 0)
