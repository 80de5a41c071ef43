"""Scoring with the gate between network and counts set right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from chargen.evaluation.gate import Calibration, Evidence
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
