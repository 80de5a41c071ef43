"""The likeliest answers, found by following several at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.errors import GenerationError
from chargen.generation.answering import AnswerNetwork
from chargen.generation.poems.answers import Rules
from chargen.generation.requests import Request, Result
from chargen.generation.text import utf8_length

if TYPE_CHECKING:
    from chargen.generation.engine import Engine

_LONGEST = 2, 8
"""Characters that an answer may have: so many times those of its text, and so many more."""


@dataclass(frozen=True)
class Found:
    """An answer.

    Attributes:
        ids: its pieces, without the end.
        logp: log p of these pieces.
        end: log p of the end after them.
        score: (logp + end) / lp(pieces, end included); see ``length_factor``.
    """

    ids: tuple[int, ...]
    logp: float
    end: float
    score: float


@dataclass(frozen=True)
class _Begun:
    """An answer that is followed: its pieces, their log p, and the bytes of a character begun."""

    ids: tuple[int, ...] = ()
    logp: float = 0.0
    begun: bytes = b""
    characters: int = 0

    def after(self, id_: int, byte: int, logp: float) -> _Begun:
        """The answer with another piece, which is a byte or, below 0, a character."""
        begun = b"" if byte < 0 else self.begun + bytes([byte])
        whole = not begun or len(begun) == utf8_length(begun[0])
        return _Begun((*self.ids, id_), logp, b"" if whole else begun, self.characters + int(whole))


def length_factor(pieces: int, penalty: float) -> float:
    """Compute ((5 + n) / 6)^A of n pieces, by which sums of log p are divided.

    Without it, the shortest answers would be the likeliest: Wu et al., "Google's neural machine
    translation system", 2016.
    """
    return float(((5 + pieces) / 6) ** penalty)


def best_answer(engine: Engine, request: Request, source: Sequence[int], index: int) -> Result:
    """The answer to a text at the rank that a request asks for.

    Raises:
        GenerationError: there are fewer answers.
    """
    config = request.config
    rules = engine.rules(request)
    longest = _LONGEST[0] * len(source) + _LONGEST[1]
    limit = min(config.length, longest) if rules is None else rules.characters
    # Rules are those of the whole line, also of what the network can't read of it.
    key = (request.prompt, tuple(source), config, request.form)
    if engine.followed[0] != key:
        search = Search(engine, rules, limit, config.length_penalty)
        engine.followed = key, search.best(source, config.beam_size, config.n_best)
    found = engine.followed[1]
    if request.rank >= len(found):
        raise GenerationError(
            f"There are only {len(found)} answers, and `n_best` is {config.n_best}.",
            "Ask for fewer.",
        )
    best = found[request.rank]
    text = engine.tokenizer.decode(np.array(best.ids, np.int64))
    reason = "end" if rules is None else "form" if request.form else "length"
    bits = -best.logp / math.log(2) / len(text) if engine.logprobs and text else None
    return Result(index, text, reason, len(text), request.seed, bits)


class Search:
    """A beam search; of equally good answers, the one of the lower pieces comes first.

    log p is the model's own, before any mask; what is masked is not followed. At ``limit``
    characters an answer must end, and none is empty.

    Args:
        engine: whose network answers.
        rules: that an answer keeps, which say where it ends; None: the end may come anywhere.
        limit: characters that an answer has at most.
        penalty: A in ``length_factor``.
    """

    def __init__(self, engine: Engine, rules: Rules | None, limit: int, penalty: float) -> None:
        assert isinstance(engine.network, AnswerNetwork)
        self._network, self._engine = engine.network, engine
        self._rules, self._limit, self._penalty = rules, limit, penalty
        tokenizer = engine.tokenizer
        self._end, self._newline = tokenizer.end_id, tokenizer.newline_id
        self._bytes = tokenizer.byte_values
        self._forbidden = engine.masks.at_start.cpu().numpy()
        most = limit * (4 if tokenizer.has_bytes else 1) + 1
        self._most_factor = length_factor(most, penalty)

    def best(self, source: Sequence[int], beam: int, count: int) -> list[Found]:
        """Find the best answers to a text, best first.

        An answer that is followed is given up when no end could bring it among the ``count``
        best; so a beam as wide as all answers finds what an exhaustive search would.

        Args:
            source: the text, its end piece last.
            beam: answers that are followed at once.
            count: answers wanted.
        """
        rows = self._network.rows(beam)
        live, found = [_Begun()], list[Found]()
        for row in range(beam):
            rows.read(row, source)
        fed = np.full(len(rows), self._newline, np.int64)
        while live:
            tile = self._network.tile
            s = rows.step(fed[: -(-len(live) // tile) * tile])
            o = rows.scores(s, len(live), log=True).to(self._engine.drawing_device)
            o[:, self._engine.tokenizer.size :] = -torch.inf
            logp = torch.log_softmax(o.double(), dim=1).numpy(force=True)
            found = self._ended(live, logp, found)[:count]
            live, parents = self._next(live, logp, beam)
            least = found[-1].score if len(found) == count else -math.inf
            kept = [n for n, each in enumerate(live) if each.logp / self._most_factor > least]
            live, parents = [live[n] for n in kept], [parents[n] for n in kept]
            rows.reorder(parents)
            fed[: len(live)] = [each.ids[-1] for each in live]
        return found

    def _ended(
        self, live: Sequence[_Begun], logp: NDArray[np.float64], found: list[Found]
    ) -> list[Found]:
        """Those found so far and those that may end now, best first."""
        ends = list(found)
        for each, row in zip(live, logp, strict=True):
            complete = self._rules is None or each.characters == self._rules.characters
            if complete and each.ids and not each.begun:
                end = float(row[self._end])
                factor = length_factor(len(each.ids) + 1, self._penalty)
                ends.append(Found(each.ids, each.logp, end, (each.logp + end) / factor))
        return sorted(ends, key=lambda each: (-each.score, each.ids))

    def _next(
        self, live: Sequence[_Begun], logp: NDArray[np.float64], beam: int
    ) -> tuple[list[_Begun], list[int]]:
        """The ``beam`` likeliest to go on, best first, and the number of what each goes on from."""
        total = logp + np.array([[each.logp] for each in live])
        for n, each in enumerate(live):
            if each.begun:
                total[n] += self._engine.masks.inside(each.begun)
                continue
            total[n, self._forbidden] = -np.inf
            total[n, self._end] = -np.inf
            if each.characters >= self._limit:
                total[n] = -np.inf
            elif self._rules is not None:
                total[n] += self._rules.mask(each.ids)
        flat = total.ravel()
        least = np.partition(flat, -beam)[-beam] if beam < len(flat) else -np.inf
        chosen = np.flatnonzero((flat >= least) & np.isfinite(flat))
        chosen = chosen[np.lexsort((chosen, -flat[chosen]))][:beam]
        parents, ids = np.divmod(chosen, total.shape[1])
        after = [
            live[n].after(id_, int(self._bytes[id_]), float(flat[place]))
            for n, id_, place in zip(parents.tolist(), ids.tolist(), chosen, strict=True)
        ]
        return after, parents.tolist()
