"""``chargen bench train --quality``: validation over time, at equal time.

chargen, the plain loop with char-rnn's defaults and a small GPT learn the same 90 % of a text by
turns, in slices of time, so that a busy machine disturbs all alike. Each has a clock of its own,
which stops while others learn and while it is scored; all are scored on the same beginning of the
other 10 %. A last run of chargen is planned for an eighth of the time, for a schedule that is
planned for all of it has not cooled down by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from chargen.bench.timing import machine
from chargen.config import CorpusConfig
from chargen.corpus.prepared import prepare
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.evaluation.scores import head_of_text
from chargen.experiments.contenders import Budget, Chargen, Contender, Ids, Plain, SmallGPT
from chargen.machine.allocator import freed_memory_kept, freed_memory_returned
from chargen.machine.devices import resolve_device
from chargen.machine.precision import exact_float32

SHORT = 8
"""The short run has this part of the budget."""
MARKS = (1 / 32, 1 / 16, 1 / 12, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)
"""Shares of the budget after which a contender is scored, besides the end."""
_SLICES = 50
_SCORED_PIECES = 1 << 16
_SCORED_AT_THE_END = 1 << 18


@dataclass(frozen=True)
class Point:
    """Bits per character on the beginning of the validation split, after so much training."""

    seconds: float
    steps: int
    bits_per_char: float


@dataclass(frozen=True)
class Curve:
    """How one of them learnt.

    Attributes:
        bits_per_char: at the end, on the whole validation split or its first 262,144 pieces.
    """

    name: str
    parameters: int
    points: tuple[Point, ...]
    bits_per_char: float

    @property
    def seconds(self) -> float:
        return self.points[-1].seconds

    def seconds_to(self, bits_per_char: float) -> float | None:
        """When the curve comes down to this, straight between its points; None: it doesn't."""
        before: Point | None = None
        for point in self.points:
            if point.bits_per_char <= bits_per_char:
                if before is None:
                    return point.seconds
                fallen = before.bits_per_char - point.bits_per_char
                share = (before.bits_per_char - bits_per_char) / fallen
                return before.seconds + share * (point.seconds - before.seconds)
            before = point
        return None


@dataclass(frozen=True)
class QualityReport:
    """What was measured, and on what; ``short`` is the run that was planned for an eighth."""

    machine: str
    device: str
    threads: int
    torch: str
    text: str
    vocab_size: int
    train_characters: int
    scored_characters: int
    seed: int
    chargen: Curve
    short: Curve
    plain: Curve
    gpt: Curve

    @property
    def curves(self) -> tuple[Curve, ...]:
        return self.chargen, self.short, self.plain, self.gpt

    @property
    def share_of_gpts_time(self) -> float | None:
        """When chargen's curve reaches the GPT's last point, over the GPT's time."""
        reached = self.chargen.seconds_to(self.gpt.points[-1].bits_per_char)
        return None if reached is None else reached / self.gpt.seconds

    @property
    def short_beats_gpt(self) -> bool:
        """Whether a run of an eighth of the GPT's time ends at least as well."""
        return self.short.bits_per_char <= self.gpt.bits_per_char

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "share_of_gpts_time": self.share_of_gpts_time,
            "short_over_gpts_time": self.short.seconds / self.gpt.seconds,
            "short_beats_gpt": self.short_beats_gpt,
        }


def bench_quality(
    text: Path,
    budget: Budget,
    *,
    preset: str = "small",
    vocab_size: int = 3000,
    seed: int = 0,
    device: str = "auto",
    on_progress: Callable[[float], None] | None = None,
) -> QualityReport:
    """Let all learn ``text``, each for ``budget``, on the threads that torch is set to.

    Args:
        text: a file.
        budget: of each but the short run.
        preset: chargen's.
        vocab_size: characters kept.
        seed: of initial weights, and of the GPT's windows.
        device: where they learn.
        on_progress: told the share of the work that is done.

    Raises:
        CorpusError: the text can't be read or is too short.
        MissingExtraError: the package transformers is not installed.
    """
    place = resolve_device(device)
    short = Budget(
        max(1.0, budget.amount / SHORT) if budget.in_steps else budget.amount / SHORT,
        budget.in_steps,
    )
    with TemporaryDirectory() as folder, torch.random.fork_rng():
        corpus = prepare([text], Path(folder) / "corpus", CorpusConfig(vocab_size=vocab_size))
        if not len(corpus.val):
            raise CorpusError(f"{text} is too short to be split.", "Use a longer text.")
        torch.manual_seed(seed)
        contenders = (
            Chargen(corpus, Path(folder) / "long", preset, budget, seed=seed, device=device),
            Chargen(
                corpus, Path(folder) / "short", preset, short, short=True, seed=seed, device=device
            ),
            Plain(corpus, budget, place),
            SmallGPT(corpus, budget, place, seed),
        )
        val = head_of_text(corpus.tokenizer, corpus.val, _SCORED_AT_THE_END)
        curves = _learn_by_turns(contenders, corpus.tokenizer, val, on_progress or (lambda _: None))
        return QualityReport(
            machine=machine(),
            device=str(place),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            text=text.name,
            vocab_size=corpus.tokenizer.size,
            train_characters=corpus.manifest.train.characters,
            scored_characters=int(corpus.tokenizer.character_starts(val).sum()),
            seed=seed,
            chargen=curves[0],
            short=curves[1],
            plain=curves[2],
            gpt=curves[3],
        )


def _learn_by_turns(
    contenders: Sequence[Contender],
    tokenizer: Tokenizer,
    val: Ids,
    on_progress: Callable[[float], None],
) -> list[Curve]:
    """Turn after turn each learns for a slice of the longest budget, until all are done."""
    longest = max(each.budget.amount for each in contenders)
    head = head_of_text(tokenizer, val, _SCORED_PIECES)
    points: list[list[Point]] = [[] for _ in contenders]
    turn = 0
    with freed_memory_kept():
        while not all(each.done for each in contenders):
            turn += 1
            for each, curve in zip(contenders, points, strict=True):
                if isinstance(each, Chargen):
                    with exact_float32():
                        _take_turn(each, curve, head, longest * turn / _SLICES)
                else:
                    with freed_memory_returned():
                        _take_turn(each, curve, head, longest * turn / _SLICES)
            on_progress(min(1.0, turn / _SLICES))
        return [
            Curve(each.name, each.parameters, tuple(curve), each.score(val).total().bits_per_char)
            for each, curve in zip(contenders, points, strict=True)
        ]


def _take_turn(contender: Contender, points: list[Point], head: Ids, until: float) -> None:
    """Learn until so much of the budget is spent, and be scored wherever a mark is passed."""
    budget = contender.budget
    while not contender.done and budget.spent(contender) < until:
        before = budget.spent(contender) / budget.amount
        contender.advance()
        now = budget.spent(contender) / budget.amount
        if contender.done or any(before < mark <= now for mark in MARKS):
            bits = contender.score(head).total().bits_per_char
            points.append(Point(contender.watch(), contender.steps, bits))
