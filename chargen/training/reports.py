"""What a sitting reports: where it begins, its scores, how it ends, and why it can't go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from chargen.errors import TrainingError
from chargen.runs.layout import MODEL
from chargen.runs.reading import MissingFileError
from chargen.runs.tensors import read_facts
from chargen.training.events import Evaluation, Finished, Started

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.evaluation.scores import Score
    from chargen.options import ModelConfig
    from chargen.runs.config import RunConfig
    from chargen.runs.folder import RunFolder
    from chargen.training.state import TrainingState

_FAR, _LEAST = 2.0, 10.0
"""Times the loss of guessing, and nats, above which a run has diverged.

An untrained network has that loss once; one that was surely wrong of a few texts may have it twice.
"""


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


def evaluation_event(step: int, seconds: float, scores: Score, *, best: bool) -> Evaluation:
    """Describe how the validation split was scored."""
    return Evaluation(
        step,
        seconds,
        bits_per_char=scores.bits_per_char,
        nats_per_char=scores.nats_per_char,
        accuracy=scores.accuracy,
        characters=scores.characters,
        best=best,
        macro_f1=scores.macro_f1,
    )


def finished_event(
    state: TrainingState, seconds: float, folder: RunFolder, reason: str
) -> Finished:
    """Say where a run is that ends."""
    best = state.best_bits if math.isfinite(state.best_bits) else None
    return Finished(
        state.step, seconds, reason=reason, best_bits_per_char=best, run=str(folder.path)
    )


def never_finite(step: int, restarts: int) -> str:
    """Why a run is lost whose loss isn't finite, however often training went back."""
    return (
        f"the loss at step {step:,} is not finite, after {restarts} restarts, each with a lower "
        "learning rate"
    )


def beyond_guessing(step: int, loss: float, model: ModelConfig) -> str:
    """Why a run is lost whose loss, in nats, is far worse than guessing; empty: it isn't."""
    outcomes = model.labels if model.task == "classify" else model.vocab_size
    guessing = math.log(max(2, outcomes))
    if loss <= max(_FAR * guessing, _LEAST):
        return ""
    return f"the loss at step {step:,} is {loss:.3g} nats, and {guessing:.3g} by guessing"


def kept(folder: RunFolder, config: RunConfig) -> str:
    """Which weights a run keeps, in words."""
    try:
        facts = read_facts(folder.path, MODEL)
    except MissingFileError:
        return f"{folder.path} keeps the weights of step {folder.last_step():,}"
    bits = facts.bits_per_char
    figure = "" if bits is None else f", {bits:.4g} {config.model.unit}"
    return f"{folder.path} keeps the weights of step {facts.step:,}{figure}"


def diverged(why: str, kept: str) -> TrainingError:
    """Make the error for a run whose training has blown up its weights."""
    return TrainingError(
        f"The run has diverged: {why}. {kept}.",
        "Train under a new `name` with a lower `lr`, such as chargen find-lr suggests, and with "
        "`grad_clip=1` if it was off.",
    )
