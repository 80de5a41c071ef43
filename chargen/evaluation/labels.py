"""What a classifier tells of texts: the probabilities of values, and how good they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.batching import beginnings
from chargen.corpus.record_split import RecordSplit
from chargen.evaluation.scores import Score
from chargen.evaluation.texts import batches_of
from chargen.machine.precision import exact_float32
from chargen.network.classifier import Classifier

_ROUNDS = 40
_LOWEST, _HIGHEST = 0.1, 10.0
_TRUST = 10.0


@exact_float32()
def log_probabilities(
    model: Classifier, split: RecordSplit, newline_id: int
) -> NDArray[np.float64]:
    """Return log p of each value for each text, (n, L); the sums of p are 1."""
    found = np.zeros((len(split), model.config.labels))
    device = model.table.device
    with torch.no_grad():
        for records in batches_of(split):
            arrays = beginnings(split, records, newline_id)
            o = model(*(torch.from_numpy(each).to(device) for each in arrays))
            found[records] = o.double().log_softmax(-1).cpu().numpy()
    return found


def fitting_scale(found: NDArray[np.float64], numbers: NDArray[np.integer[Any]]) -> float:
    """Find the factor of the logits under which the texts cost least, by Newton's method.

    The cost is convex in the factor: its slope is the sum of Σ_y p_y o_y − o_label over the texts,
    its curvature the sum of the variances of o under p. The factor 1 has the weight of ten texts.

    Args:
        found: log p of values, (n, L), which are logits.
        numbers: as in ``score_labels``.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    o, values = found[numbers > 0], numbers[numbers > 0].astype(np.int64) - 1
    wanted = float(np.take_along_axis(o, values[:, None], -1).sum())

    def moments(scale: float) -> tuple[float, float]:
        """The sums of the means and of the variances of o under p."""
        p = np.exp(normalised(scale * o))
        mean = (p * o).sum(-1, keepdims=True)
        return float(mean.sum()), float((p * (o - mean) ** 2).sum())

    scale, trust = 1.0, _TRUST * moments(1.0)[1] / len(o) + 1e-9
    for _ in range(_ROUNDS):
        mean, variance = moments(scale)
        step = (mean - wanted + trust * (scale - 1)) / (variance + trust)
        if not np.isfinite(step):
            return 1.0
        scale, before = float(np.clip(scale - step, scale / 2, scale * 2)), scale
        scale = min(max(scale, _LOWEST), _HIGHEST)
        if abs(scale - before) < 1e-4:
            break
    return scale


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
    told, size = found[rows].argmax(-1), found.shape[1]
    right = values[told == values]
    f1 = macro_f1(*(np.bincount(each, minlength=size) for each in (right, values, told)))
    return Score(len(rows), len(rows), nats, len(right), 0, f1)


def macro_f1(
    right: NDArray[np.int64], texts: NDArray[np.int64], told: NDArray[np.int64]
) -> float | None:
    """Return the mean F1 of the values that a text has; None where no text has any.

    Args:
        right: how many texts with each value are told to have it, (L,).
        texts: how many have it, (L,).
        told: how many are told to have it, (L,).
    """
    there = texts > 0
    return float((2 * right[there] / (texts + told)[there]).mean()) if there.any() else None
