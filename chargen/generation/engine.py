"""Many texts at once from one model: fixed slots, refilled the moment one is free."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.config import OOV_PROMPT_CHOICES, SamplingConfig
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.generation.forms import Form
from chargen.generation.network import Network, RowState
from chargen.generation.sampler import Sampler, Uniforms, drawing_device, sample_seed
from chargen.generation.text import GrowingText, bytes_that_may_follow, may_begin
from chargen.generation.verse import Poet, Verse, lead
from chargen.model import CharModel

__all__ = ["Chunk", "Engine", "Request", "Result", "sample_seed"]

_UNIFORMS_AT_ONCE = 64
_CACHED_NUMBERS = 1 << 24
"""Numbers that the cache of prompt states may hold."""


@dataclass(frozen=True)
class Request:
    """One text to generate.

    Attributes:
        prompt: what the model reads first, after one newline; not part of the text.
        config: how the text is drawn, and its length.
        seed: 0 to 2⁶⁴ − 1; the text is a function of model, prompt, config, form and seed.
        form: a poem's form, which then decides the length.
    """

    prompt: str
    config: SamplingConfig
    seed: int
    form: Form | None = None


@dataclass(frozen=True)
class Chunk:
    """A piece of a text as it comes: whole characters, none of which a stop string may claim."""

    index: int
    text: str


@dataclass(frozen=True)
class Result:
    """A text that is done.

    Attributes:
        index: number of its request, in the order given, from 0.
        text: without the prompt, and without the stop string.
        finish_reason: ``length``, ``stop`` or ``form``.
        characters: length of ``text``.
        seed: the request's.
        bits_per_char: −log2 of the model's own probability of the text after its prompt, over
            its characters; None unless asked for, or for an empty text.
    """

    index: int
    text: str
    finish_reason: str
    characters: int
    seed: int
    bits_per_char: float | None


class Engine:
    """Generates texts with a model's weights as they are at the start.

    Neither the model nor torch's generators and settings are touched. A text is the same
    whatever is generated beside it, in any number of slots, on any number of threads.

    Args:
        model: on the device that is to do the work.
        tokenizer: the model's.
        slots: texts that run at once, at most.
        oov_prompt: ``error`` or ``skip``, for prompt characters that the model can't read.
        logprobs: whether to tell ``bits_per_char``.
    """

    def __init__(
        self,
        model: CharModel,
        tokenizer: Tokenizer,
        *,
        slots: int = 64,
        oov_prompt: str = "error",
        logprobs: bool = False,
    ) -> None:
        self._set(slots, oov_prompt, logprobs=logprobs)
        with torch.inference_mode():
            self.network = Network(model)
        self.tokenizer = tokenizer
        self.drawing_device = drawing_device(self.network.device)
        self.masks = _Masks(tokenizer, self.network.width, self.drawing_device)
        self.cache = _PromptCache()
        self.poet = Poet(tokenizer, self.network.width)

    def _set(self, slots: int, oov_prompt: str, *, logprobs: bool) -> None:
        if slots < 1:
            raise GenerationError(f"There can't be {slots} slots.", "Use 1 or more.")
        if oov_prompt not in OOV_PROMPT_CHOICES:
            raise GenerationError(
                f"oov_prompt is {oov_prompt!r}.", f"Use {' or '.join(OOV_PROMPT_CHOICES)}."
            )
        self.slots, self.oov_prompt, self.logprobs = slots, oov_prompt, logprobs

    def using(
        self, *, slots: int = 64, oov_prompt: str = "error", logprobs: bool = False
    ) -> Engine:
        """An engine of other settings, with the same weights and the same cache of prompts."""
        engine = copy(self)
        engine._set(slots, oov_prompt, logprobs=logprobs)
        return engine

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Chunk | Result]:
        """Generate; each text's chunks come as they are made, its result after the last.

        Requests are taken as slots become free, so there may be endlessly many. None means that
        there is none at the moment: while texts are running, the next one is asked for again.

        Raises:
            GenerationError: a request can't be fulfilled, see ``check``.
        """
        return _Batch(self, requests, live=True).run()

    def generate(self, requests: Iterable[Request | None]) -> Iterator[Result]:
        """The results of ``stream``, in the order in which they are done."""
        for part in _Batch(self, requests, live=False).run():
            if isinstance(part, Result):
                yield part

    def check(self, request: Request) -> None:
        """Raise GenerationError where ``request`` can't be fulfilled."""
        self.prompt_ids(request.prompt, request.form)
        if not 0 <= request.seed < 1 << 64:
            raise GenerationError(
                f"The seed {request.seed} is out of range.", "Use 0 to 18446744073709551615."
            )
        if request.form is not None:
            self.verse(request, request.form)

    def prompt_ids(self, prompt: str, form: Form | None = None) -> list[int]:
        """What the model reads before the text: a newline and the prompt, closed for a form."""
        if form is not None and not form.problems():
            prompt = lead(form, prompt)
        if not self.tokenizer.has_bytes:
            unseen = self.tokenizer.unseen(prompt)
            if unseen and self.oov_prompt == "error":
                raise GenerationError(
                    f"The model has never seen {_listed(unseen)}, which the prompt has.",
                    "Change the prompt, or leave such characters out with --oov-prompt skip.",
                )
            prompt = prompt.translate({ord(c): None for c in unseen})
        ids: list[int] = self.tokenizer.encode(prompt).tolist()
        return [self.tokenizer.newline_id, *ids]

    def verse(self, request: Request, form: Form) -> Verse:
        """The poem that a request asks for, nothing of it written yet."""
        if request.config.stop:
            raise GenerationError(
                "A form ends where the form says, not at a stop string.", "Leave one of them out."
            )
        return self.poet.begin(form, request.prompt)


def _listed(characters: list[str], most: int = 10) -> str:
    shown = ", ".join(repr(c) for c in characters[:most])
    more = len(characters) - most
    return f"{shown} and {more} more" if more > 0 else shown


class _Masks:
    """Which pieces can't be drawn: never-sampled ones, and bytes that would be no UTF-8."""

    def __init__(self, tokenizer: Tokenizer, width: int, device: torch.device) -> None:
        never = np.asarray(tokenizer.never_sampled, bool)
        self._values = tokenizer.byte_values
        at_start = never | np.array([b >= 0 and not may_begin(b) for b in self._values.tolist()])
        self.at_start = torch.from_numpy(np.flatnonzero(at_start)).to(device)
        self._width = width
        self._inside: dict[range, NDArray[np.float32]] = {}

    def inside(self, begun: bytes) -> NDArray[np.float32]:
        """0 for the bytes that may follow in a character, else −∞: (|V'|,)."""
        allowed = bytes_that_may_follow(begun)
        if allowed not in self._inside:
            mask = np.full(self._width, -np.inf, np.float32)
            mask[np.flatnonzero(np.isin(self._values, allowed))] = 0
            self._inside[allowed] = mask
        return self._inside[allowed]


class _PromptCache:
    """States after prompts that were read before, the least recently used forgotten first.

    Several threads may use one.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[bytes, RowState] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._states)

    def find(self, ids: list[int]) -> RowState | None:
        key = _key(ids)
        with self._lock:
            if key in self._states:
                self._states.move_to_end(key)
            return self._states.get(key)

    def keep(self, ids: list[int], state: RowState) -> None:
        room = max(1, _CACHED_NUMBERS // sum(tensor.numel() for tensor in state))
        with self._lock:
            self._states[_key(ids)] = state
            while len(self._states) > room:
                self._states.popitem(last=False)


def _key(ids: list[int]) -> bytes:
    return np.array(ids, np.int32).tobytes()


class _Text:
    """One request in its slot: the prompt still to be read, then the text as it grows."""

    def __init__(self, index: int, request: Request, engine: Engine) -> None:
        self.index, self.request = index, request
        self.prompt = engine.prompt_ids(request.prompt, request.form)
        self.position = 0
        self.verse = engine.verse(request, request.form) if request.form else None
        length = request.config.length if self.verse is None else self.verse.characters
        self.grown = GrowingText(engine.tokenizer, length, request.config.stop)
        self.bits: list[float] = []
        self._uniforms = Uniforms(request.seed)
        self._ready: list[float] = []

    @property
    def reading(self) -> bool:
        """Whether pieces of the prompt are left beyond the next one."""
        return self.position + 1 < len(self.prompt)

    def uniform(self) -> float:
        """The next number of its own; it is not used up while the prompt is being read."""
        if not self._ready:
            self._ready = self._uniforms.next(_UNIFORMS_AT_ONCE)[::-1].tolist()
        return self._ready[-1]

    def add(self, id_: int) -> bool:
        """Take a piece that was drawn; whether the text is done with it."""
        self._ready.pop()
        if self.verse is not None:
            self.verse.add(id_)
        return self.grown.add(id_) is not None

    def result(self) -> Result:
        grown = self.grown
        reason = "form" if self.verse is not None else grown.finish_reason or "length"
        bits = None
        if self.bits and grown.characters:
            bits = math.fsum(self.bits[: grown.pieces_in_text()]) / grown.characters
        return Result(self.index, grown.text, reason, grown.characters, self.request.seed, bits)


class _Batch:
    """The loop: the texts in their rows, a step for all of them, those that are done replaced."""

    def __init__(self, engine: Engine, requests: Iterable[Request | None], *, live: bool) -> None:
        self._engine, self._network, self._live = engine, engine.network, live
        self._queue, self._taken = iter(requests), 0
        capacity = -(-engine.slots // engine.network.tile) * engine.network.tile
        with torch.inference_mode():
            self._rows = engine.network.rows(capacity)
        unknown = engine.tokenizer.unk_id
        self._sampler = Sampler(capacity, unknown, engine.drawing_device)
        self._next = np.full(capacity, unknown, np.int64)
        self._texts: list[_Text] = []

    def run(self) -> Iterator[Chunk | Result]:
        while True:
            yield from self._fill()
            if not self._texts:
                return
            ids, bits = self._step()
            yield from self._hand_out(ids, bits)

    def _fill(self) -> Iterator[Result]:
        """Put waiting requests into free slots."""
        while len(self._texts) < self._engine.slots:
            text = self._take()
            if text is None:
                return
            if text.grown.finish_reason is not None:
                yield text.result()
                continue
            self._texts.append(text)
            self._place(len(self._texts) - 1)

    def _take(self) -> _Text | None:
        request = next(self._queue, None)
        if request is None:
            return None
        self._taken += 1
        return _Text(self._taken - 1, request, self._engine)

    def _place(self, row: int) -> None:
        """Begin the text of ``row``: with a state that is known already where it can be."""
        text = self._texts[row]
        saved = self._engine.cache.find(text.prompt[:-1])
        text.position = len(text.prompt) - 1 if saved else 0
        with torch.inference_mode():
            self._rows.load(row, saved)
        self._sampler.set_row(row, text.request.config, text.prompt[: text.position])
        self._next[row] = text.prompt[text.position]

    def _step(self) -> tuple[list[int], list[float]]:
        """Every row reads its next piece: what is drawn for each, and its bits."""
        count, tile = len(self._texts), self._network.tile
        fed = self._next[: -(-count // tile) * tile]
        with torch.inference_mode():
            s = self._rows.step(torch.from_numpy(fed).to(self._network.device))
            self._sampler.note(fed[:count])
            if all(text.reading for text in self._texts):
                return [], []
            logits = self._network.logits(s)[:count].to(self._engine.drawing_device)
            own = torch.log_softmax(logits, 1) if self._engine.logprobs else None
            uniforms = torch.tensor([text.uniform() for text in self._texts], dtype=torch.float64)
            self._mask(logits)
            ids = self._sampler.draw(logits, uniforms[:, None].to(logits.device))
            if own is None:
                return ids.tolist(), []
            nats = own.gather(1, ids[:, None]).squeeze(1).double()
            return ids.tolist(), (nats / -math.log(2)).tolist()

    def _mask(self, logits: Tensor) -> None:
        """−∞ for what a row can't draw, in place."""
        limited: dict[int, NDArray[np.float32]] = {}
        for row, text in enumerate(self._texts):
            if text.grown.begun:
                limited[row] = self._engine.masks.inside(text.grown.begun)
            elif text.verse is not None and not text.reading:
                limited[row] = text.verse.mask()
        if not limited:
            logits.index_fill_(1, self._engine.masks.at_start, float("-inf"))
            return
        rows = torch.tensor(list(limited), device=logits.device)
        own = logits[rows] + torch.from_numpy(np.stack(list(limited.values()))).to(logits.device)
        logits.index_fill_(1, self._engine.masks.at_start, float("-inf"))
        logits[rows] = own

    def _hand_out(self, ids: list[int], bits: list[float]) -> Iterator[Chunk | Result]:
        """Give each text its piece; one that is done makes room."""
        done = []
        for row, text in enumerate(self._texts):
            if text.reading:
                self._read_on(row, text)
                continue
            if bits:
                text.bits.append(bits[row])
            self._next[row] = ids[row]
            if text.add(ids[row]):
                done.append(row)
            if self._live and (new := text.grown.take()):
                yield Chunk(text.index, new)
        for row in done:
            yield self._texts[row].result()
        for row in reversed(done):
            self._leave(row)

    def _read_on(self, row: int, text: _Text) -> None:
        text.position += 1
        self._next[row] = text.prompt[text.position]
        if not text.reading:
            self._engine.cache.keep(text.prompt[:-1], self._rows.save(row))

    def _leave(self, row: int) -> None:
        """The last row moves into the one that is free."""
        last = len(self._texts) - 1
        if row != last:
            with torch.inference_mode():
                self._rows.move(last, row)
            self._sampler.move_row(last, row)
            self._next[row] = self._next[last]
            self._texts[row] = self._texts[last]
        self._texts.pop()
