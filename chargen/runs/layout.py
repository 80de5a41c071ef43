"""What lies where in a run folder.

    config.json         what the network is, how it is trained, what it learns from
    tokenizer.model     its characters
    model.safetensors   the best weights by validation so far
    ngram.safetensors   the n-gram counts that are mixed in, where the run has them
    last/STEP/          what an exact resume needs; the newest whole one counts
    metrics.jsonl       one line per event
    places.json         where the corpus lies on this machine
    tensorboard/        curves and samples for TensorBoard, where they were asked for

The first four are all that sampling needs. No pickle is ever read.
"""

from __future__ import annotations

import re
from pathlib import Path

CONFIG = "config.json"
TOKENIZER = "tokenizer.model"
MODEL = "model.safetensors"
NGRAM = "ngram.safetensors"
METRICS = "metrics.jsonl"
PLACES = "places.json"
LOCK = ".lock"
LAST = "last"
TENSORBOARD = "tensorboard"
WRITTEN = (LOCK, LAST, CONFIG, MODEL, NGRAM, METRICS, PLACES, TENSORBOARD)
"""What a training writes after the run is made."""
STATE_TENSORS, STATE_VALUES = "state.safetensors", "state.json"

_A_STEP = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def last_steps(run: Path) -> list[int]:
    """The steps of the resumable checkpoints in a run, the newest first.

    Raises:
        OSError: the folder can't be listed.
    """
    try:
        names = [path.name for path in (run / LAST).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((int(name) for name in names if _A_STEP.fullmatch(name)), reverse=True)
