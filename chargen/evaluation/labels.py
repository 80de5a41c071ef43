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

_ROUNDS = 40
_LOWEST = 0.1
_TRUST = 10.0


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


def fitting_scale(found: NDArray[np.float64], numbers: NDArray[np.integer[Any]]) -> float:
    """What logits are to be multiplied by, so that the texts cost least: Newton's method.

    The cost is convex in the scale: its slope is the mean of Σ_y p_y o_y − o_label, and its
    curvature that of the variance of o under p. The scale 1 counts as much as ten texts do.

    Args:
        found: log p of values, (n, L), which are logits.
        numbers: as in ``score_labels``.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    o, values = found[numbers > 0], numbers[numbers > 0].astype(np.int64) - 1
    scale, trust = 1.0, 0.0
    for _ in range(_ROUNDS):
        p = np.exp(normalised(scale * o))
        mean = (p * o).sum(-1)
        spread = (p * (o - mean[:, None]) ** 2).sum(-1)
        trust = trust or _TRUST * float(spread.mean()) + 1e-9
        slope = (mean - np.take_along_axis(o, values[:, None], -1)[:, 0]).sum()
        if not np.isfinite(slope):
            return 1.0
        step = (slope + trust * (scale - 1)) / (float(spread.sum()) + trust)
        after = min(max(scale - step, scale / 2), scale * 2, 1 / _LOWEST)
        scale, before = max(after, _LOWEST), scale
        if abs(scale - before) < 1e-4:
            break
    return float(scale)


def normalised(o: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log p of values from logits (n, L)."""
    log_p: NDArray[np.float64] = o - o.max(-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    return log_p


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
