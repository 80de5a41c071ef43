"""Which tasks each form of export is for."""

from __future__ import annotations

from collections.abc import Mapping

from chargen.errors import CheckpointError
from chargen.runs.loaded import LoadedModel

_TASKS: Mapping[str, tuple[str, ...]] = {
    "onnx": ("lm", "seq2seq", "infill"),
    "hub": ("lm", "classify", "seq2seq", "infill"),
    "page": ("lm",),
}


def check_task(loaded: LoadedModel, to: str) -> None:
    """Raise CheckpointError where a run has learnt what isn't exported so; it names what is."""
    task, exported = loaded.config.model.task, _TASKS[to]
    if task in exported:
        return
    others = "".join(f"; to {form}: {', '.join(_TASKS[form])}" for form in _TASKS if form != to)
    raise CheckpointError(
        f"{loaded.path} has learnt the task {task}, which isn't exported to {to}.",
        f"What is exported to {to}: runs of the task {', '.join(exported)}{others}.",
    )
