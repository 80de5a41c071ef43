"""Scoring with the gate between network and counts set right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chargen.evaluation.gate import Calibration, Evidence
from chargen.evaluation.labels import fitting_scale, normalised, score_labels
from chargen.evaluation.scores import Score

if TYPE_CHECKING:
    from chargen.training.state import TrainingState


def score_calibrated(
    state: TrainingState, worth: float, scored: Callable[[Evidence], Score]
) -> Score:
    """Score a validation split, with the gate set right on it, which is kept in ``state``.

    The bits are those under the new calibration, computed from what was collected. The accuracy is
    still that under the old one, since a new one would take another pass.

    Args:
        state: whose network is scored.
        worth: nats a piece that a new calibration must gain; 0: the gate stays as it was learnt.
        scored: scores the split, and collects what the gate could be calibrated by.
    """
    evidence = Evidence()
    with state.calibrated():
        score = scored(evidence)
    found = evidence.calibration()
    gain = evidence.gain(found) if evidence.gate else 0.0
    if not 0 < worth < gain:
        return score
    state.calibration = found.after(state.calibration)
    return replace(score, nats=score.nats - gain * score.pieces)


def labels_calibrated_by_leader(
    state: TrainingState,
    worth: float,
    told: Callable[[], NDArray[np.float64]],
    numbers: NDArray[np.integer[Any]],
) -> Score:
    """Score a classifier, as sure as it should be of texts that it hasn't learnt from.

    Args:
        state: whose network is scored; gets the calibration.
        worth: 0: the network stays as sure as it is.
        told: log p of the values of the split's texts by the network as it is, (n, L).
        numbers: their labels, as in ``score_labels``.
    """

    def found() -> dict[str, Any]:
        log_p = told()
        scale = fitting_scale(log_p, numbers) if worth else 1.0
        return {"score": asdict(score_labels(normalised(scale * log_p), numbers)), "scale": scale}

    said = state.team.by_leader(found)
    state.calibration = Calibration(said["scale"])
    return Score(**said["score"])


def calibrated_by_leader(
    state: TrainingState, worth: float, scored: Callable[[Evidence], Score]
) -> Score:
    """As ``score_calibrated``, which the leading process of a team does for all of them."""

    def found() -> dict[str, Any]:
        score = score_calibrated(state, worth, scored)
        return {"score": asdict(score), "calibration": asdict(state.calibration)}

    told = state.team.by_leader(found)
    state.calibration = Calibration(**told["calibration"])
    return Score(**told["score"])
