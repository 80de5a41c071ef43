"""Labels of texts: told by a classifier, or by a language model with labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.labels import Labels
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.records import Record
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CheckpointError, ConfigError
from chargen.evaluation.labels import log_probabilities, normalised
from chargen.evaluation.texts import in_chunks, split_of, text_costs
from chargen.network.base import Model
from chargen.network.classifier import Classifier
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey
from chargen.options import ClassifyConfig, meant

Judge = Callable[[RecordSplit], NDArray[np.float64]]
"""From texts to log p of each value, (n, L)."""


@dataclass(frozen=True)
class Told:
    """What is told of a text's label.

    Attributes:
        id: of the text, or its number.
        label: the likeliest value; None where its probability is below the threshold, or the
            text is blank.
        score: the probability of the likeliest value.
        best: the likeliest values with their probabilities; those of all values sum to 1.
        true: the label that the text has, if it has one.
    """

    id: str | int | None
    label: str | None
    score: float
    best: tuple[tuple[str, float], ...]
    true: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return one line of ``chargen classify``."""
        line: dict[str, Any] = {"id": self.id, "label": self.label, "score": self.score}
        if len(self.best) > 1:
            line["best"] = [{"label": label, "score": score} for label, score in self.best]
        return line


def key_of_labels(labels: Labels, asked: str | None) -> str:
    """The key whose values are told: the one that is asked for, or the only one.

    Raises:
        CheckpointError: the run has no labels.
        ConfigError: there are several and none was asked for, or another one was.
    """
    keys = list(labels.values)
    if not keys:
        raise CheckpointError(
            "The run has learnt no labels.",
            "Train one with `task=classify` and `label_key`, or a language model with `label_key`.",
        )
    if asked is None and len(keys) > 1:
        raise ConfigError(
            f"The run has several labels: {', '.join(keys)}.", "Name one of them with `key`."
        )
    if asked is not None and asked not in keys:
        raise ConfigError(
            f"The run has no label {asked!r}{meant(asked, keys)}; it has {', '.join(keys)}.",
            "Name one of these with `key`.",
        )
    return asked or keys[0]


def judge_of(
    network: Model,
    tokenizer: Tokenizer,
    labels: Labels,
    key: str,
    ngram: KneserNey | None = None,
) -> Judge:
    """How a network tells the values of a key.

    A classifier does by what it has learnt. A language model with labels does by Bayes' rule: a
    value y has the probability p(y | x) ∝ p(y) p(x | y), where p(x | y) is that of the text with
    this label and no other, and p(y) the share of training texts that have it. Where it is mixed
    with the counts ``ngram``, so is p(x | y).

    Raises:
        CheckpointError: the network does neither.
    """
    newline = tokenizer.newline_id
    if isinstance(network, Classifier):
        return lambda split: log_probabilities(network, split, newline)
    if not isinstance(network, CharModel):
        raise CheckpointError(
            f"The run has learnt the task {network.config.task}, which tells no labels.",
            "Train one with `task=classify` and `label_key`.",
        )
    places, counts = labels.places(key), [count for _, count in labels.values[key]]
    prior = np.log(np.array(counts) + 1.0) - np.log(sum(counts) + len(counts))

    def by_bits(split: RecordSplit) -> NDArray[np.float64]:
        found = np.empty((len(split), len(counts)))
        for value in range(len(counts)):
            v = np.zeros((len(split), labels.size), np.float32)
            v[:, places.start + value] = 1
            found[:, value] = prior[value] - text_costs(network, split, newline, v, ngram)
        return normalised(found)

    return by_bits


def told_of(
    records: Iterable[Record],
    tokenizer: Tokenizer,
    judge: Judge,
    names: list[str],
    wanted: ClassifyConfig,
    key: str,
) -> Iterator[Told]:
    """Yield what is told of each text, in order and in bounded memory."""
    for chunk in in_chunks(records):
        found = judge(split_of(chunk, tokenizer, Labels({})))
        for record, log_p in zip(chunk, found, strict=True):
            if not record.text.strip():
                yield Told(record.id, None, 0.0, ())
                continue
            order = np.argsort(-log_p, kind="stable")[: wanted.best]
            best = tuple((names[n], float(np.exp(log_p[n]))) for n in order)
            label, score = best[0]
            told = Told(record.id, label, score, best, record.labels.get(key))
            yield told if score >= wanted.threshold else replace(told, label=None)
