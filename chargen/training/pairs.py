"""What a network that answers learns from: texts and their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.corpus.batching import RecordBatches, padded
from chargen.evaluation.answers import score_answers
from chargen.evaluation.gate import Evidence
from chargen.evaluation.scores import Score
from chargen.generation.engine import Engine
from chargen.generation.requests import Request
from chargen.machine.devices import resolve_device
from chargen.network.base import ModelState
from chargen.network.dropout import Dropout
from chargen.network.seq2seq import Seq2Seq
from chargen.options import SamplingConfig
from chargen.training.counts import Counts
from chargen.training.gating import by_leader, score_calibrated
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
        counted: P_n of the targets, (T, B), where n-grams were counted.
        back: 1 where a first text answers a second one, else 0, (B,) int64; None: nowhere.
    """

    source: Tensor
    source_lengths: Tensor
    ids: Tensor
    targets: Tensor
    lengths: Tensor
    counted: Tensor | None = None
    back: Tensor | None = None

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
            counted=None if self.counted is None else self.counted[:, rows],
            back=None if self.back is None else self.back[rows],
        )

    def loss(self, model: Any, dropout: Dropout | None) -> tuple[Tensor, ModelState]:
        within = inside(self.lengths, len(self.ids))
        loss = model.loss_of_answers(
            self.source,
            self.source_lengths,
            self.ids,
            self.targets,
            within,
            dropout,
            self.counted,
            self.back,
        )
        return loss, ()


class Pairs:
    """Texts and their answers, in batches of similar lengths.

    Where answers are learnt in reverse as well, half of the pairs are turned round, those of the
    other half in the next pass.
    """

    def __init__(self, config: RunConfig, corpus: PreparedCorpus, counts: Counts) -> None:
        options, self._counts = config.training, counts
        self._gate_worth = config.recipe.gate_worth
        self._train, self._val = corpus.train_records, corpus.val_records
        self._batches = RecordBatches(
            self._train, options.batch_size * options.seq_length, options.seed
        )
        self._turned: NDArray[np.int64] | None = None
        if config.model.also_reversed:
            draw = np.random.default_rng((options.seed, 0, 1))
            self._turned = draw.integers(0, 2, len(self._train))
        self._tokenizer = corpus.tokenizer
        self._device = resolve_device(options.device)
        self.val_characters = corpus.manifest.val.characters if len(self._val) else 0

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps_per_epoch

    def lesson(self, state: TrainingState) -> Share:
        records = self._batches.records(state.step)
        back = self._back(records, state.step // self.steps_per_epoch)
        source, source_lengths = padded(self._train, records, back)
        targets, lengths = padded(self._train, records, 1 - back)
        first = np.full((1, len(records)), self._tokenizer.newline_id)
        ids = np.concatenate([first, targets[:-1]])
        counted = None
        if self._counts.texts is not None:
            counted = self._on(self._counts.texts.of(records + back * len(self._train)))
        answers = Answers(
            self._on(source),
            self._on(source_lengths),
            self._on(ids),
            self._on(targets),
            self._on(lengths),
            counted,
            None if self._turned is None else self._on(back),
        )
        return Share.of(answers, state.team)

    def _back(self, records: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """1 for each pair that is turned round in a pass, else 0: (B,)."""
        if self._turned is None:
            return np.zeros_like(records)
        return (self._turned[records] + epoch) % 2

    def _on(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def prepare(self, step: int) -> None:
        """Nothing is sent ahead."""

    def score(self, state: TrainingState) -> Score:
        def scored(evidence: Evidence) -> Score:
            model, ngram = cast("Seq2Seq", state.model), self._counts.ngram
            return score_answers(model, self._tokenizer, self._val, ngram, evidence)

        return by_leader(state, lambda: score_calibrated(state, self._gate_worth, scored))

    def sample(self, state: TrainingState, seed: int) -> str:
        """The text of some pair, and the network's answer on the next line."""
        pairs = self._val if len(self._val) else self._train
        source = self._tokenizer.decode(pairs.side(seed % len(pairs))[:-1])
        model = cast("Seq2Seq", state.model)
        engine = Engine(model, self._tokenizer, self._counts.ngram, slots=1)
        (result,) = engine.generate([Request(source, _SAMPLE, seed)])
        return f"{source}\n{result.text}"
