"""What a network that answers learns from: texts and their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from chargen.corpus.batching import RecordBatches, padded
from chargen.evaluation.answers import score_answers
from chargen.evaluation.scores import Score, score_by_leader
from chargen.generation.engine import Engine
from chargen.generation.requests import Request
from chargen.machine.devices import resolve_device
from chargen.network.base import ModelState
from chargen.network.dropout import Dropout
from chargen.network.seq2seq import Seq2Seq
from chargen.options import SamplingConfig
from chargen.training.lessons import Share, WholeTexts, inside

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.runs.config import RunConfig
    from chargen.training.state import TrainingState

_SAMPLE = SamplingConfig(length=120, temperature=0.8)


@dataclass(frozen=True)
class Answers(WholeTexts):
    """Whole texts and their answers side by side; the loss is that of the answers.

    Attributes:
        source: texts, (S, B) int64, padded at the end.
        source_lengths: of the texts, (B,) int64.
        ids, targets: what the decoder reads and what follows, (T, B) int64 each, padded at the end.
        lengths: of the answers, (B,) int64.
    """

    source: Tensor
    source_lengths: Tensor
    ids: Tensor
    targets: Tensor
    lengths: Tensor

    @property
    def read(self) -> int:
        return int(self.source_lengths.sum()) + self.pieces

    def part(self, rows: slice) -> Answers:
        return replace(
            self,
            source=self.source[:, rows],
            source_lengths=self.source_lengths[rows],
            ids=self.ids[:, rows],
            targets=self.targets[:, rows],
            lengths=self.lengths[rows],
        )

    def loss(self, model: Any, dropout: Dropout | None) -> tuple[Tensor, ModelState]:
        within = inside(self.lengths, len(self.ids))
        loss = model.loss_of_answers(
            self.source, self.source_lengths, self.ids, self.targets, within, dropout
        )
        return loss, ()


class Pairs:
    """Texts and their answers, in batches of similar lengths."""

    def __init__(self, config: RunConfig, corpus: PreparedCorpus) -> None:
        options = config.training
        self._train, self._val = corpus.train_records, corpus.val_records
        self._batches = RecordBatches(
            self._train, options.batch_size * options.seq_length, options.seed
        )
        self._tokenizer = corpus.tokenizer
        self._device = resolve_device(options.device)
        self.val_characters = corpus.manifest.val.characters if len(self._val) else 0

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps_per_epoch

    def lesson(self, state: TrainingState) -> Share:
        records = self._batches.records(state.step)
        source, source_lengths = padded(self._train, records)
        targets, lengths = padded(self._train, records, 1)
        first = np.full((1, len(records)), self._tokenizer.newline_id)
        ids = np.concatenate([first, targets[:-1]])
        arrays = (source, source_lengths, ids, targets, lengths)
        answers = Answers(*(torch.from_numpy(each).to(self._device) for each in arrays))
        return Share.of(answers, state.team)

    def prepare(self, step: int) -> None:
        """Nothing is sent ahead."""

    def score(self, state: TrainingState) -> Score:
        model, tokenizer = cast("Seq2Seq", state.model), self._tokenizer
        return score_by_leader(state.team, lambda: score_answers(model, tokenizer, self._val))

    def sample(self, state: TrainingState, seed: int) -> str:
        """The text of some pair, and the network's answer on the next line."""
        pairs = self._val if len(self._val) else self._train
        source = self._tokenizer.decode(pairs.side(seed % len(pairs))[:-1])
        engine = Engine(cast("Seq2Seq", state.model), self._tokenizer, slots=1)
        (result,) = engine.generate([Request(source, _SAMPLE, seed)])
        return f"{source}\n{result.text}"
