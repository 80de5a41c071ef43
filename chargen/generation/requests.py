"""What is asked of the engine, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

from chargen.generation.poems import plan
from chargen.generation.poems.forms import Form
from chargen.generation.text import most_characters
from chargen.options import SamplingConfig


@dataclass(frozen=True)
class Request:
    """One text to generate.

    Attributes:
        prompt: what the model reads first, after one newline; not part of the text.
        config: how the text is drawn, and its length.
        seed: 0 to 2⁶⁴ − 1; the text is a function of model, prompt, config, form and seed.
        form: a poem's form, which then decides the length.
        best_of: texts to draw, of which ``ranking.best_results`` keeps one.
        rank: of an answer among the likeliest ones, from 0, where a beam finds them.
        alternatives: how many likely characters to report beside each one drawn; None: neither
            these nor the probability of the one drawn. ``Engine.serve`` alone reports them.
        may_fail: whether a poem that keeps its rules in no draft, or a text that ends every worker,
            has a result with a ``problem``; otherwise it ends all.
    """

    prompt: str
    config: SamplingConfig
    seed: int
    form: Form | None = None
    best_of: int = 1
    rank: int = 0
    alternatives: int | None = None
    may_fail: bool = False

    def most_characters(self, *, answers: bool = False) -> int:
        """Characters that the text has at most, whatever is drawn; ``answers``: to the line."""
        if self.form is not None:
            return plan.most_characters(self.form, self.prompt, answers=answers)
        return most_characters(self.config.length, self.config.end)


@dataclass(frozen=True)
class Drawn:
    """A character that was drawn, and what else the model thought likely there.

    Attributes:
        character: the one drawn.
        nats: its log-probability under the model, before masks and options; of a character
            spelt in bytes, the sum over them.
        likely: the likeliest pieces that may begin a character, and their log-probabilities, the
            likeliest first; a byte is written ``<0xE4>``.
        gate: the network's share of its mixture with counts, before the character; None without
            counts.
    """

    character: str
    nats: float
    likely: tuple[tuple[str, float], ...]
    gate: float | None = None


@dataclass(frozen=True)
class Chunk:
    """A piece of a text as it comes: whole characters, none of which a stop string may claim.

    ``drawn`` has an entry a character where the request asked for them, else it is empty.
    """

    index: int
    text: str
    drawn: tuple[Drawn, ...] = ()


@dataclass(frozen=True)
class Result:
    """A text that is done.

    Attributes:
        index: number of its request, in the order given, from 0.
        text: without the prompt, and without the stop string.
        finish_reason: ``length``, ``stop``, ``end`` or ``form``.
        characters: length of ``text``.
        seed: the request's.
        bits_per_char: −log2 of the model's own probability of the text after its prompt, over
            its characters; None unless asked for, or for an empty text.
        problem: why there is no text, or None.
    """

    index: int
    text: str
    finish_reason: str
    characters: int
    seed: int
    bits_per_char: float | None
    problem: str | None = None
