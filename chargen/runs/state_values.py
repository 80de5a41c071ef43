"""The values of a resumable checkpoint, besides its tensors: ``last/STEP/state.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from chargen.files import sha256_of_values
from chargen.runs.reading import STRICT, damaged, typed


@dataclass(frozen=True)
class StateValues:
    """Everything besides tensors that decides how a run goes on.

    Attributes:
        step: steps made.
        seconds: of training so far.
        lr_scale: factor of the learning rate, after roll-backs.
        rollbacks: times that the run went back to a checkpoint.
        best_bits: the lowest bits per character on the validation split; None: none measured.
        evaluations_since_best: evaluations without a better one.
        evaluated_step: step of the last evaluation; -1: none.
        gate_scale, gate_offset: what the gate is changed by where it is evaluated and kept.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    step: int
    seconds: float
    lr_scale: float
    rollbacks: int
    best_bits: float | None
    evaluations_since_best: int
    evaluated_step: int
    gate_scale: float = 1.0
    gate_offset: float = 0.0

    def __post_init__(self) -> None:
        least = {"seconds": 0, "rollbacks": 0, "evaluations_since_best": 0, "evaluated_step": -1}
        for name, low in {"step": 0, **least}.items():
            if not getattr(self, name) >= low:
                raise ValueError(f"{name} is {getattr(self, name)}, below {low}")
        if not self.lr_scale > 0:
            raise ValueError(f"lr_scale is {self.lr_scale}, not above 0")


def sealed(values: Mapping[str, Any], tensors_sha256: str, where: Path) -> dict[str, Any]:
    """The JSON of ``state.json``: values, and a digest that binds them to their tensors."""
    checked = asdict(typed(dict(values), StateValues, where))
    return {**checked, "sha256": _digest(checked, tensors_sha256)}


def unsealed(values: Any, tensors_sha256: str, step: int, where: Path) -> dict[str, Any]:
    """What ``sealed`` was given.

    chargen 0.1 wrote no digest; what it wrote is accepted without one.

    Args:
        values: the JSON.
        tensors_sha256: the digest of the tensors beside it.
        step: of the checkpoint, by the name of its folder.
        where: the file, for errors.

    Raises:
        CheckpointError: a value is missing, of another type or impossible, or changed since.
    """
    if not isinstance(values, dict):
        raise damaged(where, "it is no JSON object")
    values = dict(values)
    seal = values.pop("sha256", None)
    checked = asdict(typed(values, StateValues, where))
    if seal is not None and seal != _digest(values, tensors_sha256):
        raise damaged(where, "its digest differs")
    if checked["step"] != step:
        raise damaged(where, f"its step is {checked['step']}, not {step}")
    return checked


def _digest(values: Mapping[str, Any], tensors_sha256: str) -> str:
    return sha256_of_values({**values, "tensors_sha256": tensors_sha256})
