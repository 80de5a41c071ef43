"""The n-gram counts of a run: ``ngram.safetensors``, a function of its training text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from chargen.ngrams import KneserNey, from_arrays, to_arrays
from chargen.options import ModelConfig
from chargen.runs.expected_tensors import of_ngram, require_bytes
from chargen.runs.layout import NGRAM
from chargen.runs.reading import damaged, regular_file
from chargen.runs.tensors import read_tensors, write_tensors

_FACTS = ("size", "newline", "dropped_from")
_ROOM = 20
"""Bytes of memory for each byte of the file, about."""


def write_ngram(run: Path, ngram: KneserNey | None) -> None:
    """Write the counts to a run folder, in one instant; None: the run has none."""
    if ngram is None:
        return
    arrays, facts = to_arrays(ngram)
    arrays["facts"] = np.array([facts[name] for name in _FACTS], np.int64)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    write_tensors(run / NGRAM, tensors, 0)


def read_ngram(run: Path, model: ModelConfig) -> tuple[KneserNey | None, str | None]:
    """Read the counts of a run, and the digest that identifies them; None where it has none.

    Raises:
        CheckpointError: they are missing, damaged, too large, or don't fit the config.
    """
    if not model.mixed_order:
        return None, None
    path = run / NGRAM
    require_bytes(_ROOM * regular_file(run, NGRAM).stat().st_size, f"The model in {path}")
    tensors, about = read_tensors(run, NGRAM, of_ngram(model))
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    facts = dict(zip(_FACTS, arrays.pop("facts").tolist(), strict=True))
    if facts["size"] != model.vocab_size:
        raise damaged(path, f"it has {facts['size']:,} pieces, not {model.vocab_size:,}")
    try:
        return from_arrays(arrays, facts), about.sha256
    except ValueError as error:
        raise damaged(path, str(error)) from error
