"""Slots for texts of strangers: each can be cancelled, fails alone, and may tell its odds."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor

from chargen.errors import ChargenError
from chargen.generation.requests import Chunk, Drawn, Request, Result
from chargen.generation.slot_text import SlotText
from chargen.generation.slots import Slots

if TYPE_CHECKING:
    from chargen.generation.engine import Engine

_READERS = 8
"""Texts up to which chunks come at the pace that is asked for; of more, each has fewer."""
_LATEST = 1.0
"""Seconds between chunks at most, however many texts there are, unless the pace is slower."""
_Likely = tuple[tuple[str, float], ...]
K = TypeVar("K", bound=Hashable)


class _Odds:
    """What the pieces of a text cost, and how many of its characters were handed out."""

    def __init__(self, text: SlotText) -> None:
        self._text, self._given = text, 0
        self._nats: list[float] = []
        self._likely: list[_Likely] = []
        self._gates: list[float | None] = []

    def add(self, nats: float, likely: _Likely, gate: float | None) -> None:
        self._nats.append(nats)
        self._likely.append(likely)
        self._gates.append(gate)

    def take(self, characters: str) -> tuple[Drawn, ...]:
        """The odds of the next characters of the text."""
        found = []
        for n, character in enumerate(characters, self._given):
            pieces = self._text.grown.pieces_of(n)
            nats = sum(self._nats[pieces])
            first = pieces.start
            found.append(Drawn(character, nats, self._likely[first], self._gates[first]))
        self._given += len(characters)
        return tuple(found)


class ServedSlots(Slots, Generic[K]):
    """A run of the engine over requests of strangers, see ``Engine.serve``."""

    def __init__(
        self,
        engine: Engine,
        requests: Iterable[tuple[K, Request] | None],
        cancelled: Callable[[], Iterable[K]],
        on_failure: Callable[[K, ChargenError], None],
        pace: float,
    ) -> None:
        super().__init__(engine, self._noted(requests), live=True)
        self._keys: dict[int, K] = {}  # of the texts that were taken and have no result yet
        self._cancelled, self._on_failure = cancelled, on_failure
        self._pace, self._shown, self._due = pace, 0.0, True
        self._fresh: set[int] = set()  # texts of which nothing was handed out yet
        self._odds: dict[int, _Odds] = {}
        self._seen: tuple[list[int], Tensor, list[_Likely]] | None = None

    def parts(self) -> Iterator[tuple[K, Chunk | Result]]:
        """What comes of the texts, each part with the key of its request."""
        for part in self.run():
            ended = isinstance(part, Result)
            yield self._keys.pop(part.index) if ended else self._keys[part.index], part

    def _noted(self, requests: Iterable[tuple[K, Request] | None]) -> Iterator[Request | None]:
        for each in requests:
            if each is not None:
                self._keys[self._taken] = each[0]  # the number that the text will have
            yield None if each is None else each[1]

    def _fill(self) -> Iterator[Chunk | Result]:
        gone = set(self._cancelled())
        if gone:
            numbers = {n for n, key in self._keys.items() if key in gone}
            self._failed = [text for text in self._failed if text.index not in numbers]
            for row in reversed(range(len(self._texts))):
                if self._texts[row].index in numbers:
                    self._remove(row)
            for n in numbers:
                del self._keys[n]
        yield from super()._fill()

    def _remove(self, row: int) -> None:
        """Free the slot of a text that is not to go on."""
        text = self._texts[row]
        self._odds.pop(text.index, None)
        self._fresh.discard(text.index)
        if row < self._drawing:
            text.poem = None  # so that it is not drawn again
            super()._leave(row)
        else:
            self._swap(row, len(self._texts) - 1)
            self._texts.pop()

    def _take(self) -> SlotText | None:
        while True:
            try:
                return super()._take()
            except ChargenError as error:
                self._on_failure(self._keys.pop(self._taken - 1), error)

    def _leave(self, row: int) -> None:
        text = self._texts[row]
        try:
            super()._leave(row)
        except ChargenError as error:  # a poem that can't be drawn again; nothing has changed yet
            self._on_failure(self._keys.pop(text.index), error)
            self._remove(row)

    def _begin_to_draw(self, row: int) -> None:
        text = self._texts[row]
        if text.request.alternatives is not None:
            self._odds[text.index] = _Odds(text)
        self._fresh.add(text.index)
        super()._begin_to_draw(row)

    def _look(self, scores: Tensor, nothing: float) -> None:
        self._seen = self._odds_in(scores, nothing) if self._odds else None

    def _odds_in(
        self, scores: Tensor, nothing: float
    ) -> tuple[list[int], Tensor, list[_Likely]] | None:
        """The rows that ask, their log-probabilities (N, |V'|), and their likeliest pieces.

        Scores are logits, or, of a mixture, probabilities or their logarithms, as ``nothing`` says.
        """
        drawing = self._texts[: self._drawing]
        rows = [n for n, text in enumerate(drawing) if text.request.alternatives is not None]
        if not rows:
            return None
        own = scores[rows]
        if not self._mixed:
            own = torch.log_softmax(own, 1)
        elif not nothing:
            own = own.log_()
        most = max(drawing[row].request.alternatives or 0 for row in rows)
        if not most:
            return rows, own, [()] * len(rows)
        possible = own.index_fill(1, self._engine.masks.at_start, float("-inf"))
        possible[:, self._engine.tokenizer.size :] = float("-inf")
        values, ids = (each.tolist() for each in possible.topk(most, 1))
        likely = [
            self._named(ids[n], values[n], drawing[row].request.alternatives or 0)
            for n, row in enumerate(rows)
        ]
        return rows, own, likely

    def _named(self, ids: list[int], nats: list[float], count: int) -> _Likely:
        pairs = zip(ids[:count], nats[:count], strict=True)
        piece = self._engine.tokenizer.piece
        return tuple((piece(id_), x) for id_, x in pairs if x > float("-inf"))

    def _hand_out(self, ids: list[int], bits: list[float]) -> Iterator[Chunk | Result]:
        if self._seen is not None and ids:
            rows, own, likely = self._seen
            chosen = own.gather(1, own.new_tensor([ids[row] for row in rows]).long()[:, None])
            shares = self._rows.gate
            gates = [None] * len(rows) if shares is None else shares[rows].tolist()
            for row, *each in zip(rows, chosen[:, 0].tolist(), likely, gates, strict=True):
                self._odds[self._texts[row].index].add(*each)
        self._seen = None
        for part in super()._hand_out(ids, bits):
            self._fresh.discard(part.index)
            if isinstance(part, Chunk):
                yield self._with_odds(part)
                continue
            yield from self._rest(part.index)
            self._odds.pop(part.index, None)
            yield part

    def _hands_out(self) -> bool:
        """Whether chunks are due, of all texts or of new ones: the more there are, the rarer."""
        now = time.perf_counter()
        pace = max(self._pace, min(self._pace * self._drawing / _READERS, _LATEST))
        self._due = now - self._shown >= pace
        if self._due:
            self._shown = now
        return self._due or bool(self._fresh)

    def _is_due(self, text: SlotText) -> bool:
        return self._due or text.index in self._fresh

    def _rest(self, index: int) -> Iterator[Chunk]:
        """What was not handed out of a text that is done and still in its slot."""
        text = next(text for text in self._texts if text.index == index)
        if new := text.grown.take():
            yield self._with_odds(Chunk(index, new))

    def _with_odds(self, chunk: Chunk) -> Chunk:
        odds = self._odds.get(chunk.index)
        return chunk if odds is None else replace(chunk, drawn=odds.take(chunk.text))
