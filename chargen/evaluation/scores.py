"""Bits per character of a text under a model, by a fixed protocol.

The text is cut into segments of 2,048 characters. In each, the model starts from its initial state
and first reads the 512 characters before the segment, which are not charged. The first segment is
preceded by a newline.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.evaluation.gate import Evidence
from chargen.evaluation.judges import Judge, judge_of_text
from chargen.evaluation.predictors import Predictor
from chargen.machine.precision import exact_float32
from chargen.machine.team import ALONE, Team
from chargen.ngrams import KneserNey

SEGMENT = 2048
WARM_UP = 512
_TIME_CHUNK = 64
NATS_TO_BITS = 1 / math.log(2)


@dataclass(frozen=True)
class Score:
    """The cost of a text under a model.

    Attributes:
        characters: length of the text.
        pieces: number of its pieces; more than characters if there are byte pieces.
        nats: −ln p summed over all pieces, plus the extra charge for each ``<unk>``.
        correct: number of characters of which all pieces were the likeliest.
        unseen: number of characters outside the vocabulary.
        macro_f1: of labels, the mean F1 of those that a text has; else None.
    """

    characters: int
    pieces: int
    nats: float
    correct: int
    unseen: int
    macro_f1: float | None = None

    def __repr__(self) -> str:
        return (
            f"<Score: {self.bits_per_char:.3f} bits per character over {self.characters:,}, "
            f"accuracy {self.accuracy:.1%}, out of vocabulary {self.oov_rate:.1%}>"
        )

    @property
    def nats_per_char(self) -> float:
        return self.nats / self.characters

    @property
    def bits_per_char(self) -> float:
        return self.nats_per_char * NATS_TO_BITS

    @property
    def perplexity(self) -> float:
        return math.exp(self.nats_per_char) if self.nats_per_char < 700 else math.inf

    @property
    def accuracy(self) -> float:
        return self.correct / self.characters

    @property
    def oov_rate(self) -> float:
        return self.unseen / self.characters

    def to_dict(self) -> dict[str, float]:
        return {
            "bits_per_char": self.bits_per_char,
            "nats_per_char": self.nats_per_char,
            "perplexity": self.perplexity,
            "accuracy": self.accuracy,
            "oov_rate": self.oov_rate,
            "characters": self.characters,
            "pieces": self.pieces,
        }


@dataclass(frozen=True)
class CharScores:
    """The cost of each character of a text, as arrays of equal length.

    A notebook shows the text, each character tinted by its cost, where ``text`` is known.
    """

    nats: NDArray[np.float64]
    correct: NDArray[np.bool_]
    unseen: NDArray[np.bool_]
    pieces: int
    text: str = ""

    def __repr__(self) -> str:
        return f"<CharScores of {len(self.nats):,} characters: {self.total()!r}>"

    def _repr_html_(self) -> str:
        from chargen.evaluation.tint import tinted

        bits = self.nats * NATS_TO_BITS
        return tinted(self.text, bits.tolist(), caption=repr(self.total()).strip("<>"))

    def total(self) -> Score:
        return Score(
            characters=len(self.nats),
            pieces=self.pieces,
            nats=float(self.nats.sum()),
            correct=int(self.correct.sum()),
            unseen=int(self.unseen.sum()),
        )


def score(
    model: Predictor, tokenizer: Tokenizer, ids: NDArray[np.integer], batch_size: int = 32
) -> Score:
    """Score the text ``ids``; the batch size affects only rounding."""
    return score_characters(model, tokenizer, ids, batch_size).total()


@exact_float32()
def score_characters(
    model: Predictor,
    tokenizer: Tokenizer,
    ids: NDArray[np.integer],
    batch_size: int = 32,
    ngram: KneserNey | None = None,
    evidence: Evidence | None = None,
    team: Team = ALONE,
    changed: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    v: NDArray[np.float32] | None = None,
) -> CharScores:
    """Score each character of ``ids``; of several processes, each scores a share of the segments.

    Args:
        model: the model, on its device; with ``ngram``, a ``CharModel`` that has a gate.
        tokenizer: the tokenizer that made ``ids``.
        ids: pieces of a text, (N,).
        batch_size: number of segments that are scored at once.
        ngram: the counts that are mixed in, or None.
        evidence: gets what the gate could be calibrated by.
        team: the processes that call this function together; all get the whole result.
        changed: what the nats of the pieces (N,) become, if the text is recalled as it is read.
        v: the labels of the text, (L,), for a ``CharModel`` that has them.

    Raises:
        CorpusError: ``ids`` is empty.
    """
    if not len(ids):
        raise CorpusError("The text is empty.", "Use a text with at least one character.")
    starts = np.flatnonzero(tokenizer.character_starts(ids))
    nats = np.zeros(len(ids))
    correct = np.zeros(len(ids), dtype=bool)
    judge = judge_of_text(model, ids, ngram, evidence)
    spans = _spans(starts, len(ids))
    own = spans[team.share(len(spans))]
    for n in range(0, len(own), batch_size):
        _score_batch(model, judge, tokenizer, ids, own[n : n + batch_size], nats, correct, v)
    if team.size > 1:
        part = slice(own[0][1], own[-1][2]) if own else slice(0)
        nats = team.gathered(torch.from_numpy(nats[part])).numpy()
        correct = team.gathered(torch.from_numpy(correct[part])).numpy()
        if evidence is not None:
            evidence.gather(team)
    return by_character(tokenizer, ids, nats if changed is None else changed(nats), correct)


def score_by_leader(team: Team, score: Callable[[], Score]) -> Score:
    """What ``score`` returns in the leading process of a team, for all of them."""
    return Score(**team.by_leader(lambda: asdict(score())))


def by_character(
    tokenizer: Tokenizer,
    ids: NDArray[np.integer],
    nats: NDArray[np.float64],
    correct: NDArray[np.bool_],
) -> CharScores:
    """Sum −ln p of pieces, and combine whether they were the likeliest, by character."""
    starts = np.flatnonzero(tokenizer.character_starts(ids))
    unknown = np.asarray(ids) == tokenizer.unk_id
    nats = nats + np.where(unknown, tokenizer.unk_extra_bits / NATS_TO_BITS, 0.0)
    spelt = tokenizer.byte_values[ids[starts]] >= 0
    return CharScores(
        nats=np.add.reduceat(nats, starts),
        correct=np.logical_and.reduceat(correct, starts),
        unseen=unknown[starts] | spelt,
        pieces=len(ids),
    )


def head_of_text(tokenizer: Tokenizer, ids: NDArray[np.integer], most: int) -> NDArray[np.integer]:
    """Return at most the first ``most`` pieces of ``ids``, ending with a whole character."""
    if len(ids) <= most:
        return ids
    return ids[: int(np.flatnonzero(tokenizer.character_starts(ids[: most + 1]))[-1])]


Span = tuple[int, int, int]
"""A segment as positions of pieces: start of the warm-up, start of the charged part, end."""


def _spans(starts: NDArray[np.intp], count: int) -> list[Span]:
    edges = np.append(starts, count)
    firsts = np.arange(0, len(starts), SEGMENT)
    return [
        (
            int(edges[max(0, first - WARM_UP)]),
            int(edges[first]),
            int(edges[min(first + SEGMENT, len(starts))]),
        )
        for first in firsts.tolist()
    ]


def _score_batch(
    model: Predictor,
    judge: Judge,
    tokenizer: Tokenizer,
    ids: NDArray[np.integer],
    spans: list[Span],
    nats: NDArray[np.float64],
    correct: NDArray[np.bool_],
    v: NDArray[np.float32] | None,
) -> None:
    """Score the segments ``spans`` as one batch, and store the cost of their charged pieces."""
    rows = [_inputs(tokenizer, ids, span) for span in spans]
    steps = max(map(len, rows))
    inputs = np.zeros((steps, len(rows)), dtype=np.int64)
    places = np.full((steps, len(rows)), -1, dtype=np.int64)  # of the charged pieces in the text
    for n, (given, (_, first, end)) in enumerate(zip(rows, spans, strict=True)):
        inputs[: len(given), n] = given
        places[len(given) - (end - first) : len(given), n] = np.arange(first, end)
    pieces_nats = np.zeros((steps, len(rows)))
    pieces_correct = np.zeros((steps, len(rows)), dtype=bool)
    device = model.table.device
    labels: tuple[object, ...] = ()
    if v is not None:
        labels = (None, torch.from_numpy(v).to(device).expand(len(rows), -1))
    with torch.no_grad():
        state = model.initial_state(len(rows))
        for first in range(0, steps, _TIME_CHUNK):
            part = slice(first, first + _TIME_CHUNK)
            s, state = model(torch.from_numpy(inputs[part]).to(device), state, *labels)
            mask = places[part] >= 0
            if mask.any():
                cost, top = judge(s[torch.from_numpy(mask).to(device)], places[part][mask])
                pieces_nats[part][mask] = cost.cpu().double().numpy()
                pieces_correct[part][mask] = top.cpu().numpy()
    for n, (_, first, end) in enumerate(spans):
        charged = places[:, n] >= 0
        nats[first:end] = pieces_nats[charged, n]
        correct[first:end] = pieces_correct[charged, n]


def _inputs(tokenizer: Tokenizer, ids: NDArray[np.integer], span: Span) -> NDArray[np.int64]:
    """Return the input pieces of a segment, warm-up included: the one before each target."""
    warm, _, end = span
    piece = np.asarray(ids[warm : end - 1], dtype=np.int64)
    return piece if warm else np.concatenate([[tokenizer.newline_id], piece])
