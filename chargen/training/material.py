"""What a run learns from and is scored on: lessons, a validation split, samples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.batching import RecordBatches, beginnings, padded
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.windows import Windows
from chargen.evaluation.gate import Evidence
from chargen.evaluation.labels import log_probabilities
from chargen.evaluation.scores import Score, head_of_text, score_characters
from chargen.evaluation.texts import score_records
from chargen.generation.engine import Engine
from chargen.generation.requests import Request
from chargen.machine.devices import resolve_device
from chargen.machine.team import ALONE, Team
from chargen.options import SamplingConfig
from chargen.training.counts import Counts
from chargen.training.feed import Feed
from chargen.training.gaps import Lines
from chargen.training.gating import by_leader, score_calibrated, score_labels_calibrated
from chargen.training.lessons import Labelled, Passage, Share, Texts
from chargen.training.pairs import Pairs

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.network.classifier import Classifier
    from chargen.runs.config import RunConfig
    from chargen.training.state import TrainingState

_SAMPLE = SamplingConfig(length=120, temperature=0.8)


class Material(Protocol):
    """What a run learns from, lesson after lesson, and how its progress is measured.

    Attributes:
        steps_per_epoch: lessons of a pass.
        val_characters: of the validation split; 0: there is none.
    """

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def val_characters(self) -> int: ...

    def lesson(self, state: TrainingState) -> Share:
        """What the next step of ``state`` learns from in this process."""

    def prepare(self, step: int) -> None:
        """Start to send the lesson of a step to the device."""

    def score(self, state: TrainingState) -> Score:
        """Score the validation split; collective, and the same in all processes."""

    def sample(self, state: TrainingState, seed: int) -> str:
        """Let the network show what it has learnt."""


class Text:
    """One stream of text, in windows over contiguous lanes."""

    def __init__(
        self, config: RunConfig, corpus: PreparedCorpus, counts: Counts, team: Team
    ) -> None:
        options, tokenizer = config.training, corpus.tokenizer
        self._lanes, self._batch_size = team.share(options.batch_size), options.batch_size
        self._windows = Windows(
            corpus.train,
            options.batch_size,
            options.seq_length,
            tokenizer.newline_id,
            seed=options.seed if config.recipe.shifted_passes else None,
            lanes=self._lanes,
        )
        self._feed = Feed(self._windows, resolve_device(options.device), counts.counted)
        self._tokenizer, self._ngram = tokenizer, counts.ngram
        self._gate_worth = config.recipe.gate_worth
        self._val = head_of_text(tokenizer, corpus.val, config.recipe.evaluated_pieces)
        self.val_characters = corpus.manifest.val.characters if len(corpus.val) else 0

    @property
    def steps_per_epoch(self) -> int:
        return self._windows.steps_per_epoch

    def lesson(self, state: TrainingState) -> Share:
        ids, targets, fresh, counted = self._feed.window(state.step)
        own = Passage(ids, targets, state.before_window(epoch_starts=fresh), counted)
        pieces = len(ids) * self._batch_size
        return Share(own, self._lanes.start, self._batch_size, pieces, pieces)

    def prepare(self, step: int) -> None:
        self._feed.prepare(step)

    def score(self, state: TrainingState) -> Score:
        def scored(evidence: Evidence) -> Score:
            return score_characters(
                state.language_model,
                self._tokenizer,
                self._val,
                ngram=self._ngram,
                evidence=evidence,
                team=state.team,
            ).total()

        return score_calibrated(state, self._gate_worth, scored)

    def sample(self, state: TrainingState, seed: int) -> str:
        engine = Engine(state.language_model, self._tokenizer, self._ngram, slots=1)
        (result,) = engine.generate([Request("", _SAMPLE, seed)])
        return result.text


class Records:
    """Texts of their own, each with its labels, in batches of similar length."""

    def __init__(self, config: RunConfig, corpus: PreparedCorpus, counts: Counts) -> None:
        options, self._config, self._counts = config.training, config, counts
        self._train, self._val = corpus.train_records, corpus.val_records
        pieces = options.batch_size * options.seq_length
        self._batches = RecordBatches(self._train, pieces, options.seed)
        self._tokenizer, self._labels = corpus.tokenizer, config.corpus.label_space
        self._device = resolve_device(options.device)
        self.val_characters = corpus.manifest.val.characters if len(self._val) else 0

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps_per_epoch

    def lesson(self, state: TrainingState) -> Share:
        records = self._batches.records(state.step)
        targets, lengths = padded(self._train, records)
        first = np.full((1, len(records)), self._tokenizer.newline_id)
        ids = np.concatenate([first, targets[:-1]])
        arrays = [ids, targets, lengths, self._vectors(records, state.step)]
        if self._counts.texts is not None:
            arrays.append(self._counts.texts.of(records))
        texts = Texts(*(torch.from_numpy(each).to(self._device) for each in arrays))
        return Share.of(texts, state.team)

    def _vectors(self, records: NDArray[np.int64], step: int) -> NDArray[np.float32]:
        """The labels v of records (B, L), some left out, as seed and step decide."""
        numbers = self._train.labels[records]
        options = self._config.training
        draw = np.random.default_rng((options.seed, step, numbers.size))
        return self._labels.vectors(numbers * (draw.random(numbers.shape) >= options.label_dropout))

    def prepare(self, step: int) -> None:
        """Nothing is sent ahead."""

    def score(self, state: TrainingState) -> Score:
        v = self._labels.vectors(self._val.labels) if self._labels.size else None

        def scored(evidence: Evidence) -> Score:
            model, ngram = state.language_model, self._counts.ngram
            return score_records(model, self._tokenizer, self._val, v, ngram, evidence)

        worth = self._config.recipe.gate_worth
        return by_leader(state, lambda: score_calibrated(state, worth, scored))

    def sample(self, state: TrainingState, seed: int) -> str:
        """A text with the labels of some text that was learnt from, which are shown before it."""
        numbers = self._train.labels[seed % len(self._train)]
        label = tuple(
            f"{key}={self._labels.names(key)[number - 1]}"
            for key, number in zip(self._labels.values, numbers.tolist(), strict=True)
            if number
        )
        engine = Engine(
            state.language_model,
            self._tokenizer,
            self._counts.ngram,
            slots=1,
            labels=self._labels,
        )
        (result,) = engine.generate([Request("", replace(_SAMPLE, label=label), seed)])
        return "\n".join([*([", ".join(label)] if label else []), result.text])


class LabelledTexts:
    """Texts whose label is to be told, in batches of similar length."""

    def __init__(self, config: RunConfig, corpus: PreparedCorpus) -> None:
        options = config.training
        self._train, self._val = corpus.train_records, corpus.val_records
        pieces = options.batch_size * options.seq_length
        self._batches = RecordBatches(self._train, pieces, options.seed)
        self._newline = corpus.tokenizer.newline_id
        self._tokenizer, self._device = corpus.tokenizer, resolve_device(options.device)
        self._gate_worth = config.recipe.gate_worth
        (key,) = config.corpus.labels
        self._names = config.corpus.label_space.names(key)
        scored = bool(self._val.labels.any())
        self.val_characters = corpus.manifest.val.characters if scored else 0

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps_per_epoch

    def lesson(self, state: TrainingState) -> Share:
        records = self._batches.records(state.step)
        ids, lengths = beginnings(self._train, records, self._newline)
        values = self._train.labels[records, 0].astype(np.int64) - 1
        arrays = (ids, lengths, values)
        texts = Labelled(*(torch.from_numpy(each).to(self._device) for each in arrays))
        return Share.of(texts, state.team)

    def prepare(self, step: int) -> None:
        """Nothing is sent ahead."""

    def score(self, state: TrainingState) -> Score:
        model, labels = cast("Classifier", state.model), self._val.labels[:, 0]

        def score() -> Score:
            log_p = log_probabilities(model, self._val, self._newline)
            return score_labels_calibrated(state, self._gate_worth, log_p, labels)

        return by_leader(state, score)

    def sample(self, state: TrainingState, seed: int) -> str:
        """A text with its label, and what the network tells: of the validation split if any."""
        split = self._val if len(self._val) else self._train
        n = seed % len(split)
        one = RecordSplit(split.side(n), self._tokenizer.end_id, 1)
        (found,) = log_probabilities(cast("Classifier", state.model), one, self._newline)
        best = found.argsort()[:-4:-1]
        told = ", ".join(f"{self._names[each]} {math.exp(found[each]):.0%}" for each in best)
        number = int(split.labels[n, 0])
        label = self._names[number - 1] if number else "no label"
        text = self._tokenizer.decode(split.side(n)[:-1])
        return f"{label}: told as {told}\n{text}"


def material_of(
    config: RunConfig, corpus: PreparedCorpus, counts: Counts, team: Team = ALONE
) -> Material:
    """What a run with this config learns from in a corpus."""
    if config.model.task == "infill":
        return Lines(config, corpus)
    if config.model.task == "classify":
        return LabelledTexts(config, corpus)
    if config.model.task == "seq2seq":
        return Pairs(config, corpus, counts)
    if config.model.records:
        return Records(config, corpus, counts)
    return Text(config, corpus, counts, team)
