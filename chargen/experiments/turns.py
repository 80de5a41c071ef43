"""Training contenders in turns, each on a clock of its own."""

from __future__ import annotations

from collections.abc import Sequence

from chargen.corpus.tokenizer import Tokenizer
from chargen.evaluation.scores import head_of_text
from chargen.experiments.contenders import Contender, Ids
from chargen.experiments.curves import LearningCurve, Point
from chargen.experiments.outcome import ShowProgress

MARKS = (1 / 32, 1 / 16, 1 / 12, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)
"""Shares of the budget at which a contender is scored, besides the end."""
_SLICES = 50
_SCORED_PIECES = 1 << 16


def learn_by_turns(
    contenders: Sequence[Contender], tokenizer: Tokenizer, val: Ids, on_progress: ShowProgress
) -> list[LearningCurve]:
    """Train the contenders in turns of a slice of the longest budget until all are done."""
    longest = max(each.budget.amount for each in contenders)
    head = head_of_text(tokenizer, val, _SCORED_PIECES)
    points: list[list[Point]] = [[] for _ in contenders]
    turn, finished = 0, False
    while not finished:
        turn += 1
        for each, curve in zip(contenders, points, strict=True):
            with each.settings():
                _take_turn(each, curve, head, longest * turn / _SLICES)
        finished = all(each.done for each in contenders)
        on_progress("training in turns", _SLICES if finished else min(turn, _SLICES), _SLICES)
    curves = []
    for each, curve in zip(contenders, points, strict=True):
        with each.settings():
            bits = each.score(val).total().bits_per_char
        curves.append(LearningCurve(each.name, each.parameters, tuple(curve), bits))
    return curves


def _take_turn(contender: Contender, points: list[Point], head: Ids, until: float) -> None:
    """Train a contender until ``until`` is spent, and score it at each mark it passes."""
    budget = contender.budget
    while not contender.done and budget.spent(contender) < until:
        before = budget.spent(contender) / budget.amount
        contender.advance()
        now = budget.spent(contender) / budget.amount
        if contender.done or any(before < mark <= now for mark in MARKS):
            bits = contender.score(head).total().bits_per_char
            points.append(Point(contender.watch(), contender.steps, bits))
