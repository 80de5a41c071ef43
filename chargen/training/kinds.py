"""Which texts each task learns from: one stream, lines, records with labels, or pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chargen.errors import CorpusError

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus

_KINDS: Mapping[str, tuple[str, ...]] = {
    "lm": ("none", "lines", "labels"),
    "classify": ("labels",),
    "seq2seq": ("pairs",),
    "infill": ("lines",),
}
"""The kinds of records that a task can learn from; the first is its own."""
_MOST_ROWS, _MOST_COUNTS = 1 << 20, 1 << 23  # of a classifier's n-grams of a length
_MOST_LEARNT = 1 << 17  # of all lengths, by itself
_TABLE_OF_CLASSIFIERS = 8000  # characters, whose number costs a network without softmax no time
_REMEDIES = {
    "classify": "Name records and the key of their label: `label_key=author`.",
    "seq2seq": "Name pairs: a file with the columns src and trg, or two files of lines.",
    "infill": "Name a text, each line of which is read by itself.",
    "lm": "For pairs, use `task=seq2seq`.",
}


def settings_of_task(task: str, given: Mapping[str, Any], *, prepared: bool) -> dict[str, Any]:
    """The settings of a corpus for a task: those that were given, and the kind of its records.

    A corpus that is prepared already has its own. A classifier has a larger vocabulary.
    """
    kind = _KINDS.get(task, ("none",))[0]  # an unknown task is reported elsewhere
    if prepared:
        return dict(given)
    if task == "classify":
        given = {"vocab_size": _TABLE_OF_CLASSIFIERS, **given}
    if kind == "none" or given.get("records", "none") != "none" or given.get("label_key"):
        return dict(given)
    return {**given, "records": kind}


def check_kind(task: str, corpus: PreparedCorpus) -> None:
    """Raise CorpusError where a corpus doesn't hold what a task learns from."""
    kind = kind_of(corpus)
    if kind not in _KINDS[task]:
        held = {"none": "one stream of text", "labels": "texts with labels"}.get(kind, kind)
        raise CorpusError(f"The corpus holds {held}, and `task` is {task}.", _REMEDIES[task])
    info = corpus.manifest.records
    if task == "classify" and (info is None or len(info.keys) != 1):
        count = 0 if info is None else len(info.keys)
        raise CorpusError(
            f"The corpus has {count} label keys, and classify learns one.", _REMEDIES[task]
        )


def kind_of(corpus: PreparedCorpus) -> str:
    """The kind of the records of a corpus; ``none``: one stream of text."""
    return "none" if corpus.manifest.records is None else corpus.manifest.records.kind


def shape_of(task: str, corpus: PreparedCorpus) -> dict[str, Any]:
    """The fields of ModelConfig that follow from a corpus with records."""
    info = corpus.manifest.records
    if info is None:
        return {"records": False, "labels": 0}
    size = sum(map(len, info.values))
    shape = {"records": True, "labels": size if task in ("lm", "classify") else 0}
    if task == "classify":
        most = min(_MOST_COUNTS // size, corpus.manifest.train.pieces)
        shape["ngram_rows"], shape["ngram_weights"] = min(_MOST_ROWS, most), min(_MOST_LEARNT, most)
        shape["ngram_layout"] = shape["ngram_verses"] = True
    return shape
