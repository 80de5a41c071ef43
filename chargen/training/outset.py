"""What is reported when a sitting begins, and when it can't go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from chargen.errors import TrainingError
from chargen.training.events import Started

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.runs.config import RunConfig
    from chargen.training.state import TrainingState


def started_event(
    state: TrainingState,
    corpus: PreparedCorpus,
    config: RunConfig,
    *,
    seconds: float,
    device: torch.device,
    steps_per_epoch: float,
    notes: tuple[str, ...],
) -> Started:
    """Describe the run that goes on from ``state``."""
    manifest, tokenizer, options = corpus.manifest, corpus.tokenizer, config.training
    train, of_text = manifest.train, config.model.unit == Started.unit
    charged = of_text and not tokenizer.has_bytes
    return Started(
        state.step,
        seconds,
        parameters=sum(p.numel() for p in state.model.parameters()),
        threads=torch.get_num_threads(),
        device=str(device),
        train_characters=train.characters,
        steps_per_epoch=steps_per_epoch,
        seq_length=options.seq_length,
        batch_size=options.batch_size,
        bits_per_nat=(train.pieces / max(1, train.characters) if of_text else 1) / math.log(2),
        unknown_bits=manifest.oov_rate * tokenizer.unk_extra_bits if charged else 0.0,
        mixed=config.model.ngram_order > 0,
        notes=notes,
        unit=config.model.unit,
    )


def diverged(step: int, restarts: int) -> TrainingError:
    """Make the error for a loss that isn't finite, however often training went back."""
    return TrainingError(
        f"The loss at step {step:,} is not finite, after {restarts} restarts, each with a lower "
        "learning rate.",
        "Train under a new `name` with a lower `lr`, and with `grad_clip=1` if it was off.",
    )
