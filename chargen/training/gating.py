"""Scoring a validation split, with the network calibrated on it."""

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
    score, found = set_right(score, evidence, worth)
    state.calibration = found.after(state.calibration)
    return score


def set_right(score: Score, evidence: Evidence, worth: float) -> tuple[Score, Calibration]:
    """The score of a text with the gate set right on it, and how; see ``score_calibrated``."""
    found = evidence.calibration()
    gain = evidence.gain(found) if evidence.gate else 0.0
    if not 0 < worth < gain:
        return score, Calibration()
    return replace(score, nats=score.nats - gain * score.pieces), found


def score_labels_calibrated(
    state: TrainingState,
    worth: float,
    log_p: NDArray[np.float64],
    numbers: NDArray[np.integer[Any]],
) -> Score:
    """Score a classifier, its logits scaled to suit the validation split, as ``state`` then says.

    Args:
        state: whose network is scored.
        worth: 0: the logits stay as they are.
        log_p: of the values of the split's texts, by the network as it is, (n, L).
        numbers: the texts' labels, as in ``score_labels``.
    """
    state.calibration = Calibration(fitting_scale(log_p, numbers) if worth else 1.0)
    return score_labels(normalised(state.calibration.scale * log_p), numbers)


def by_leader(state: TrainingState, score: Callable[[], Score]) -> Score:
    """What ``score`` returns in the leading process, with its calibration, for the whole team."""

    def found() -> dict[str, Any]:
        scored = score()
        return {"score": asdict(scored), "calibration": asdict(state.calibration)}

    told = state.team.by_leader(found)
    state.calibration = Calibration(**told["calibration"])
    return Score(**told["score"])
