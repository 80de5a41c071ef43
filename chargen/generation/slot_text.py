"""A text in its slot: what it reads, what it must keep, and how far it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chargen.errors import GenerationError
from chargen.generation.requests import Request, Result
from chargen.generation.sampler import Uniforms
from chargen.generation.seeds import sample_seed
from chargen.generation.text import GrowingText

if TYPE_CHECKING:
    from chargen.generation.engine import Engine
    from chargen.generation.poems.verse import Poem

_UNIFORMS_AT_ONCE = 64
_MOST_DRAFTS = 100
"""Drafts of a poem; those that fail are rare (tests/benchmarks/generation.md)."""


class SlotText:
    """One request in its slot: the prompt still to be read, then the text as it grows.

    A poem that fails begins again, as another draft, with the numbers of a seed of its own.
    """

    def __init__(self, index: int, request: Request, engine: Engine) -> None:
        self.index, self.request, self._engine = index, request, engine
        self.source = engine.source_ids(request.prompt) if engine.answers else []
        self.rules = engine.ruled(request)
        self.poem: Poem | None = None
        self.prompt = [engine.tokenizer.newline_id]
        if not engine.answers:
            self.prompt = engine.prompt_ids(request.prompt, request.form)
            self.poem = engine.poem(request, request.form) if request.form else None
        self.memory = engine.memory(tuple(self.prompt[1:])) if len(self.prompt) > 2 else None
        self.problem: str | None = None
        self._draft = 0
        self._begin(request.seed)

    def _begin(self, seed: int) -> None:
        length, end = self.request.config.length, self.request.config.end
        if self.poem is not None:
            length, end = self.poem.task.characters, "none"
        if self.rules is not None:
            length, end = self.rules.characters, "none"
        stop = self.request.config.stop
        self.position = 0
        self.grown = GrowingText(self._engine.tokenizer, length, stop, end)
        if self._engine.answers and not self.source:
            self.grown.finish_reason = "end"  # nothing is answered with nothing
        self.bits: list[float] = []
        self._uniforms = Uniforms(seed)
        self._ready: list[float] = []

    def begin_again(self) -> None:
        """Begin another draft of a poem that failed, or give it up, where it may fail.

        Raises:
            GenerationError: there were enough drafts, and it may not fail.
        """
        self._draft += 1
        if self.poem is None or not self.poem.can_be_redrawn or self._draft >= _MOST_DRAFTS:
            drafts = "draft" if self._draft == 1 else "drafts"
            error = GenerationError(
                f"The poem with the seed {self.request.seed} kept its rules in none of "
                f"{self._draft} {drafts}.",
                "Use `tones=lenient`, another acrostic, pattern or prompt, or a larger vocabulary.",
            )
            if not self.request.may_fail:
                raise error
            self.problem = error.message
            return
        self.poem = self.poem.again()
        self._begin(sample_seed(self.request.seed, f"draft {self._draft}"))

    @property
    def limited(self) -> bool:
        """Whether some of its pieces are masked."""
        return self.poem is not None or self.rules is not None or bool(self.source)

    @property
    def failed(self) -> bool:
        """Whether it is a poem that can't be completed as it was begun."""
        return self.poem is not None and self.poem.failed

    @property
    def held(self) -> bool:
        """Whether it can't be shown yet: a poem that may fail is shown when it is whole."""
        may_fail = self.poem is not None and self.poem.task.may_fail
        return may_fail and self.grown.finish_reason is None

    @property
    def reading(self) -> bool:
        """Whether pieces of the prompt are left beyond the next one."""
        return self.position + 1 < len(self.prompt)

    def uniform(self) -> float:
        """The next number of its own."""
        try:
            return self._ready.pop()
        except IndexError:
            self._ready = self._uniforms.next(_UNIFORMS_AT_ONCE)[::-1].tolist()
            return self._ready.pop()

    def add(self, id_: int) -> bool:
        """Take a piece that was drawn; whether the text is done with it."""
        if self.poem is not None:
            self.poem.add(id_)
        if self.rules is not None:
            self.rules.add(id_)
        return self.grown.add(id_) is not None

    def result(self) -> Result:
        if self.problem is not None:
            return Result(self.index, "", "failed", 0, self.request.seed, None, self.problem)
        grown = self.grown
        reason = "form" if self.poem is not None else grown.finish_reason or "length"
        if self.rules is not None:
            reason = self.rules.reason
        bits = None
        if self.bits and grown.characters:
            bits = math.fsum(self.bits[: grown.pieces_in_text()]) / grown.characters
        return Result(self.index, grown.text, reason, grown.characters, self.request.seed, bits)
