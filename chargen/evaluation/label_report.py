"""How good predicted labels are: accuracy, F1, the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.labels import Labels
from chargen.corpus.records import Record
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.evaluation.classifying import Judge
from chargen.evaluation.labels import macro_f1
from chargen.evaluation.texts import in_chunks, split_of


@dataclass(frozen=True)
class LabelFigures:
    """The figures of a label.

    Attributes:
        label: its value.
        texts: that have it.
        precision: share of the texts told to have it that do; 0 where none is.
        recall: share of the texts that have it of which that is told.
        f1: 2 · precision · recall / (precision + recall).
        taken_for: the other label that is most often told of its texts, or None.
    """

    label: str
    texts: int
    precision: float
    recall: float
    f1: float
    taken_for: str | None


@dataclass(frozen=True, eq=False)
class LabelReport:
    """What is told of labelled texts, against their labels.

    Attributes:
        key: of the labels.
        names: the values.
        confusion: how many texts with a value (row) are told to have one (column), (L, L).
        nats: −log p of the true values, summed.
        unknown: texts whose label the run doesn't know, or that have none; they aren't counted.
    """

    key: str
    names: tuple[str, ...]
    confusion: NDArray[np.int64]
    nats: float
    unknown: int

    def __repr__(self) -> str:
        return (
            f"<LabelReport of {self.key}: accuracy {self.accuracy:.1%}, macro-F1 "
            f"{self.macro_f1:.3f} over {self.texts:,} texts>"
        )

    @property
    def texts(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(self.confusion.trace()) / self.texts

    @property
    def bits_per_label(self) -> float:
        return self.nats / self.texts / math.log(2)

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the labels that a text has."""
        counts = self.confusion
        return macro_f1(counts.diagonal(), counts.sum(1), counts.sum(0)) or 0.0

    @property
    def figures(self) -> tuple[LabelFigures, ...]:
        """Those of each label that a text has, the most frequent first."""
        found = [self._figures_of(n) for n in range(len(self.names)) if self.confusion[n].any()]
        return tuple(sorted(found, key=lambda each: -each.texts))

    def _figures_of(self, n: int) -> LabelFigures:
        right, texts = int(self.confusion[n, n]), int(self.confusion[n].sum())
        told = int(self.confusion[:, n].sum())
        wrong = self.confusion[n].copy()
        wrong[n] = 0
        return LabelFigures(
            self.names[n],
            texts,
            right / told if told else 0.0,
            right / texts,
            2 * right / (texts + told),
            self.names[int(wrong.argmax())] if wrong.any() else None,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "texts": self.texts,
            "unknown": self.unknown,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "bits_per_label": self.bits_per_label,
            "labels": [vars(each) for each in self.figures],
            "names": list(self.names),
            "confusion": self.confusion.tolist(),
        }


def report_labels(
    records: Iterable[Record], tokenizer: Tokenizer, judge: Judge, labels: Labels, key: str
) -> LabelReport:
    """Compare what is told of texts with the labels that they have, in bounded memory.

    Raises:
        CorpusError: no text has a label that the run knows.
    """
    names = labels.names(key)
    numbers = {name: n for n, name in enumerate(names)}
    confusion, nats, unknown = np.zeros((len(names), len(names)), np.int64), 0.0, 0
    met: set[str] = set()
    for chunk in in_chunks(records):
        known = [record for record in chunk if record.labels.get(key) in numbers]
        unknown += len(chunk) - len(known)
        met |= {record.labels[key] for record in chunk[:100] if key in record.labels}
        if not known:
            continue
        log_p = judge(split_of(known, tokenizer, Labels({})))
        true = np.array([numbers[record.labels[key]] for record in known])
        np.add.at(confusion, (true, log_p.argmax(-1)), 1)
        nats -= float(log_p[np.arange(len(true)), true].sum())
    if not confusion.any():
        what = f"their labels are {', '.join(sorted(met)[:8])}" if met else f"none has a {key!r}"
        raise CorpusError(
            f"No text has a {key} that the run knows; {what}.",
            f"Give texts with a {key} such as {', '.join(names[:3])}.",
        )
    return LabelReport(key, tuple(names), confusion, nats, unknown)
