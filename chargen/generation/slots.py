"""The loop of the engine: texts in their slots, a step for all, those that are done replaced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.generation.answering import AnswerRows
from chargen.generation.beams import best_answer
from chargen.generation.loops import Loops
from chargen.generation.recall import Recall
from chargen.generation.requests import Chunk, Request, Result
from chargen.generation.sampler import Sampler
from chargen.generation.slot_text import SlotText

if TYPE_CHECKING:
    from chargen.generation.engine import Engine


class Slots:
    """A run of the engine over its requests.

    A slot is a row of every array. The rows that draw come first, those that still read their
    prompts after them, so that logits are made for the former alone.
    """

    def __init__(self, engine: Engine, requests: Iterable[Request | None], *, live: bool) -> None:
        self._engine, self._network, self._live = engine, engine.network, live
        self._queue, self._taken = iter(requests), 0
        capacity = -(-engine.slots // engine.network.tile) * engine.network.tile
        with torch.inference_mode():
            self._rows = engine.network.rows(capacity)
        unknown = engine.tokenizer.unk_id
        loops = Loops(capacity, engine.kinds)
        self._sampler = Sampler(capacity, unknown, engine.drawing_device, loops)
        self._recall = Recall(capacity)
        self._next = np.full(capacity, unknown, np.int64)
        self._uniforms = np.zeros((capacity, 1))
        self._texts: list[SlotText] = []
        self._failed: list[SlotText] = []
        self._drawing = 0
        self._ranked = 0
        self._limited = False
        self._mixed = engine.network.mixture is not None

    def run(self) -> Iterator[Chunk | Result]:
        while True:
            yield from self._fill()
            if not self._texts:
                return
            ids, bits = self._step()
            yield from self._hand_out(ids, bits)

    def _fill(self) -> Iterator[Chunk | Result]:
        """Put waiting requests into free slots."""
        while len(self._texts) < self._engine.slots:
            text = self._take()
            if text is None:
                return
            if text.request.config.beam_size and text.source:
                yield from self._followed(text)
                continue
            if text.problem is not None or text.grown.finish_reason is not None:
                yield text.result()
                continue
            self._texts.append(text)
            self._place(len(self._texts) - 1)

    def _followed(self, text: SlotText) -> Iterator[Chunk | Result]:
        """The answer that a beam finds, at the rank that is asked for."""
        with torch.inference_mode():
            result = best_answer(self._engine, text.request, text.source, text.index)
        if self._live and result.text:
            yield Chunk(text.index, result.text)
        yield result

    def _take(self) -> SlotText | None:
        if self._failed:
            return self._failed.pop()
        request = next(self._queue, None)
        if request is None:
            return None
        self._taken += 1
        return SlotText(self._taken - 1, request, self._engine)

    def _place(self, row: int) -> None:
        """Begin the text of ``row``: with a state that is known already where it can be."""
        text = self._texts[row]
        with torch.inference_mode():
            if isinstance(self._rows, AnswerRows):
                self._rows.read(row, text.source)
            else:
                saved = self._engine.cache.find(text.prompt[:-1], text.request.config.label)
                text.position = len(text.prompt) - 1 if saved else 0
                self._rows.load(row, saved, self._engine.labels_of(text.request))
        read = text.prompt[: text.position]
        self._sampler.set_row(row, text.request.config, read)
        self._recall.set_row(row, text.memory, text.request.config.recall, read)
        self._next[row] = text.prompt[text.position]
        if not text.reading:
            self._begin_to_draw(row)

    def _step(self) -> tuple[list[int], list[float]]:
        """Every row reads its next piece: what is drawn for those that draw, and its bits."""
        count, tile = len(self._texts), self._network.tile
        fed = self._next[: -(-count // tile) * tile]
        with torch.inference_mode():
            s = self._rows.step(fed)
            self._sampler.note(fed[:count])
            self._recall.note(fed[:count])
            if not self._drawing:
                return [], []
            bits, recalling = self._wants_bits(), self._recall.among(self._drawing)
            late = bits or bool(recalling)  # probabilities are needed before their logarithms
            log = self._mixed and not late and self._sampler.changes_all(self._drawing)
            scores = self._rows.scores(s, self._drawing, log=log).to(self._engine.drawing_device)
            own = self._own(scores) if bits else None
            as_they_are = self._mixed and not log
            nothing = 0.0 if as_they_are else float("-inf")
            self._look(scores, nothing)
            if recalling:
                self._recall.mix(scores, recalling, logits=not self._mixed)
            self._mask(scores, nothing)
            draw = self._sampler.draw_from_mixture if as_they_are else self._sampler.draw
            ids = draw(scores, self._draw_uniforms().to(scores.device))
            if own is None:
                return ids.tolist(), []
            chosen = own.gather(1, ids[:, None]).squeeze(1).double()
            if self._mixed:  # one by one: a vector's rest may be rounded otherwise
                return ids.tolist(), [-math.log2(p) for p in chosen.tolist()]
            return ids.tolist(), (chosen / -math.log(2)).tolist()

    def _own(self, scores: Tensor) -> Tensor:
        """What a piece costs before masks and options: log-probabilities, or probabilities."""
        return scores.clone() if self._mixed else torch.log_softmax(scores, 1)

    def _look(self, scores: Tensor, nothing: float) -> None:
        """See what the model says, before recall, masks and options; nothing is changed."""

    def _wants_bits(self) -> bool:
        return self._engine.logprobs or self._ranked > 0

    def _draw_uniforms(self) -> Tensor:
        """A number for each row that draws, (B, 1), float64."""
        drawing = self._texts[: self._drawing]
        self._uniforms[: len(drawing), 0] = [text.uniform() for text in drawing]
        return torch.from_numpy(self._uniforms[: len(drawing)])

    def _mask(self, scores: Tensor, nothing: float) -> None:
        """``nothing`` for what a row can't draw, in place: −∞, or probability 0."""
        limited: dict[int, NDArray[np.float32]] = {}
        for row, text in enumerate(self._texts[: self._drawing] if self._limited else ()):
            if text.grown.begun:
                limited[row] = self._engine.masks.inside(text.grown.begun)
            elif text.poem is not None:
                limited[row] = text.poem.mask()
            elif text.rules is not None:
                limited[row] = text.rules.mask()
            elif text.source and not text.grown.pieces:
                limited[row] = self._engine.masks.not_empty
        self._limited = bool(limited)
        if not limited:
            self._mask_start(scores, nothing)
            return
        rows = torch.tensor(list(limited), device=scores.device)
        masks = torch.from_numpy(np.stack(list(limited.values()))).to(scores.device)
        own = scores[rows].masked_fill_(masks < 0, nothing)
        self._mask_start(scores, nothing)
        scores[rows] = own

    def _mask_start(self, scores: Tensor, nothing: float) -> None:
        """Mask what no row can draw that begins a character, and the spare columns."""
        masks = self._engine.masks
        if scores.shape[0] == 1 and masks.on_cpu:
            scores.numpy()[0, masks.never] = nothing
            return
        scores.index_fill_(1, masks.at_start, nothing)
        if self._mixed:
            scores[:, self._engine.tokenizer.size :] = nothing

    def _hand_out(self, ids: list[int], bits: list[float]) -> Iterator[Chunk | Result]:
        """Give each text its piece; one that is done makes room."""
        for row in range(self._drawing, len(self._texts)):
            self._read_on(row)
        self._next[: len(ids)] = ids
        for text, cost in zip(self._texts, bits, strict=False):
            text.bits.append(cost)
        done, live = [], self._live and self._hands_out()
        for row, (text, id_) in enumerate(zip(self._texts, ids, strict=False)):
            if text.add(id_) or text.failed:
                done.append(row)
            if text.grown.begun:
                self._limited = True
            if text.failed or text.held:
                continue
            if live and self._is_due(text) and (new := text.grown.take()):
                yield Chunk(text.index, new)
        for row in done:
            if not self._texts[row].failed:
                yield self._texts[row].result()
        for row in reversed(done):
            self._leave(row)

    def _hands_out(self) -> bool:
        """Whether there may be chunks after this step."""
        return True

    def _is_due(self, text: SlotText) -> bool:  # noqa: ARG002 — all are
        """Whether what is new of a text is handed out after this step."""
        return True

    def _read_on(self, row: int) -> None:
        text = self._texts[row]
        text.position += 1
        self._next[row] = text.prompt[text.position]
        if not text.reading:
            label = text.request.config.label
            self._engine.cache.keep(text.prompt[:-1], self._rows.save(row), label)
            self._begin_to_draw(row)

    def _begin_to_draw(self, row: int) -> None:
        text = self._texts[row]
        self._limited = self._limited or text.limited
        self._ranked += text.request.best_of > 1
        self._swap(row, self._drawing)
        self._drawing += 1

    def _leave(self, row: int) -> None:
        """The last row that draws takes the place, and the last of all takes that one's."""
        if self._texts[row].failed:
            self._texts[row].begin_again()
            self._failed.append(self._texts[row])
        self._drawing -= 1
        self._ranked -= self._texts[row].request.best_of > 1
        self._swap(row, self._drawing)
        self._swap(self._drawing, len(self._texts) - 1)
        self._texts.pop()

    def _swap(self, a: int, b: int) -> None:
        if a == b:
            return
        with torch.inference_mode():
            self._rows.swap(a, b)
        self._sampler.swap_rows(a, b)
        self._recall.swap_rows(a, b)
        self._next[[a, b]] = self._next[[b, a]]
        self._texts[a], self._texts[b] = self._texts[b], self._texts[a]
