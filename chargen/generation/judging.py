"""How good the answers of a model are: their bits, their likeness to real ones, rules kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chargen.corpus.labels import Labels
from chargen.corpus.records import Record
from chargen.errors import CorpusError, MissingExtraError
from chargen.evaluation.answers import score_answers
from chargen.evaluation.scores import Score
from chargen.evaluation.texts import added, in_chunks, split_of
from chargen.generation.engine import Engine
from chargen.generation.ordering import in_order
from chargen.generation.poems.answers import RULES, broken_rules
from chargen.generation.poems.pronunciation import readings
from chargen.generation.requests import Request
from chargen.network.seq2seq import Seq2Seq
from chargen.ngrams import KneserNey

MOST_ANSWERED = 10_000
"""Pairs of a file, the first ones, whose texts are answered; all are scored."""


@dataclass(frozen=True)
class Judgement:
    """How a model answers the texts of pairs.

    Attributes:
        score: of the real answers, each with its end, under the model.
        answered: pairs whose texts it answered.
        bleu, chrf: of its answers against the real ones, by characters, 0 to 100; None without
            sacrebleu.
        kept: the share of its answers that keep each rule of a couplet, and ``all`` of them;
            None without pypinyin.
        kept_by_real: the same for the real answers.
        missing: packages that are not installed.
        answers: the first of its answers, each with its text and the real one.
    """

    score: Score
    answered: int
    bleu: float | None
    chrf: float | None
    kept: Mapping[str, float] | None
    kept_by_real: Mapping[str, float] | None
    missing: tuple[str, ...] = ()
    answers: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            **self.score.to_dict(),
            "answered": self.answered,
            "bleu": self.bleu,
            "chrf": self.chrf,
            "rules_kept": self.kept,
            "rules_kept_by_real_answers": self.kept_by_real,
        }


def judge(
    model: Seq2Seq,
    engine: Engine,
    records: Iterable[Record],
    request: Request,
    ngram: KneserNey | None = None,
) -> Judgement:
    """Judge a model by pairs.

    Args:
        model: a network that answers.
        engine: of the same network.
        records: pairs.
        request: how the texts are answered; its prompt is replaced by each text.
        ngram: the counts that are mixed in, here and in the engine, or None.

    Raises:
        CorpusError: there are no pairs.
    """
    scores: list[Score] = []
    firsts: list[str] = []
    real: list[str] = []
    for chunk in in_chunks(records):
        split = split_of(chunk, engine.tokenizer, Labels({}))
        scores.append(score_answers(model, engine.tokenizer, split, ngram))
        for record in chunk[: MOST_ANSWERED - len(firsts)]:
            firsts.append(record.text)
            real.append(record.answer or "")
    if not scores:
        raise CorpusError("The file has no pairs.", "Name one with at least one pair.")
    requests = (replace(request, prompt=text, seed=n) for n, text in enumerate(firsts))
    own = [result.text for result in in_order(engine, requests, None)]
    missing: list[str] = []
    bleu, chrf = _likeness(own, real, missing)
    return Judgement(
        score=added(scores),
        answered=len(own),
        bleu=bleu,
        chrf=chrf,
        kept=_kept(firsts, own, missing),
        kept_by_real=_kept(firsts, real, missing),
        missing=tuple(dict.fromkeys(missing)),
        answers=tuple(zip(firsts, own, real, strict=True)),
    )


def _likeness(
    own: Sequence[str], real: Sequence[str], missing: list[str]
) -> tuple[float | None, float | None]:
    """BLEU of characters and chrF.

    Sources: Papineni et al., "BLEU", ACL 2002; Popović, "chrF", WMT 2015; as sacrebleu computes
    them (Post, "A call for clarity in reporting BLEU scores", WMT 2018).
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        missing.append("sacrebleu")
        return None, None
    bleu = BLEU(tokenize="char").corpus_score(list(own), [list(real)]).score
    return bleu, CHRF().corpus_score(list(own), [list(real)]).score


def _kept(
    firsts: Sequence[str], seconds: Sequence[str], missing: list[str]
) -> dict[str, float] | None:
    """The share of second lines that keep each rule, and all."""
    try:
        readings("")
    except MissingExtraError:
        missing.append("pypinyin")
        return None
    broken: Counter[str] = Counter()
    for first, second in zip(firsts, seconds, strict=True):
        found = broken_rules(first, second)
        broken.update(RULES if "length" in found else found)
        broken["all"] += bool(found)
    return {rule: 1 - broken[rule] / max(1, len(firsts)) for rule in (*RULES, "all")}
