"""How ``chargen sample`` shows texts: streamed, numbered, side by side, tinted, or as JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chargen.generation.generator import Generator
    from chargen.generation.ranking import Ranked
    from chargen.generation.requests import Result
    from chargen.terminal.texts import TextWriter


@dataclass(frozen=True)
class Asked:
    """The texts to generate.

    Attributes:
        generator: the model.
        prompt: what they continue.
        options: arguments of ``Generator.iter_results``, without the temperature where several are
            given.
        temperatures: of a sweep; (None,): that of ``options``.
    """

    generator: Generator
    prompt: str
    options: dict[str, Any]
    temperatures: tuple[float | None, ...] = (None,)

    def at(self, temperature: float | None) -> dict[str, Any]:
        """Return the options at one of the temperatures."""
        own = {} if temperature is None else {"temperature": temperature}
        return {**self.options, **own}

    def before(self) -> str:
        """Return the prompt as it precedes a text: a poem begins on a line of its own."""
        form = self.options.get("form")
        if self.generator.answers:
            return f"{self.prompt}\n"
        if form is None:
            return self.prompt
        from chargen.generation.poems.plan import lead

        return lead(form, self.prompt)

    def results(self) -> Iterator[tuple[float | None, Result]]:
        """Yield every text with its temperature."""
        for temperature in self.temperatures:
            for result in self.generator.iter_results(self.prompt, **self.at(temperature)):
                yield temperature, result

    def ranked(self, keep: int) -> Iterator[tuple[float | None, Ranked]]:
        """Yield the best texts of each temperature."""
        for temperature in self.temperatures:
            options = self.at(temperature)
            del options["num_samples"]
            for each in self.generator.ranked(self.prompt, **options)[:keep]:
                yield temperature, each


def write_json(asked: Asked, keep: int) -> None:
    """Write a line of JSON for each text."""
    if keep > 1:
        for temperature, each in asked.ranked(keep):
            more = {"number": each.number, "score": round(each.score, 4)}
            _write_line(asked, temperature, each.result, more)
        return
    for temperature, result in asked.results():
        _write_line(asked, temperature, result, {})


def _write_line(
    asked: Asked, temperature: float | None, result: Result, more: dict[str, Any]
) -> None:
    line = {
        "prompt": asked.prompt,
        "text": result.text,
        "finish_reason": result.finish_reason,
        "characters": result.characters,
        "seed": result.seed,
    }
    if len(asked.temperatures) > 1:
        line["temperature"] = temperature
    sys.stdout.write(json.dumps({**line, **more}, ensure_ascii=False) + "\n")


def show_texts(asked: Asked, keep: int, *, tint: str | None) -> None:
    """Print texts for a reader; several are separated by a line of ``---``.

    Args:
        asked: the texts.
        keep: how many of the candidates are shown.
        tint: what colours tell on a terminal, ``surprisal`` or ``gate``; None: no colours.
    """
    from chargen.terminal.texts import TextWriter

    writer, one = TextWriter(), asked.options["num_samples"] == 1
    if asked.generator.answers and not (one and asked.options.get("beam_size", 0) == 0):
        _show_answers(asked, writer)
        return
    tint = tint if writer.on_terminal else None
    if tint:
        writer.legend(tint)
    if keep > 1:
        _show_ranked(asked, keep, writer, tint)
    elif tint:
        _show_all(asked, writer, tint=tint)
    elif len(asked.temperatures) > 1 and one and writer.fits(len(asked.temperatures)):
        _show_beside(asked, writer)
    elif len(asked.temperatures) == 1 and one and asked.options.get("best_of", 1) == 1:
        _stream(asked, writer)
    else:
        _show_all(asked, writer, tint=None)


def _stream(asked: Asked, writer: TextWriter) -> None:
    options = asked.at(asked.temperatures[0])
    drawn = {n: v for n, v in options.items() if n not in ("num_samples", "best_of")}
    pieces = asked.generator.stream(asked.prompt, **drawn)
    writer.prompt(asked.before())
    for piece in pieces:
        writer.write(piece)
    writer.write("\n")


def _show_answers(asked: Asked, writer: TextWriter) -> None:
    """The line once, and below it its answers, a line each."""
    for n, (_, result) in enumerate(asked.results()):
        if not n:
            writer.prompt(asked.before())
        writer.write(f"{result.text}\n")


def _show_all(asked: Asked, writer: TextWriter, *, tint: str | None) -> None:
    before = asked.before()
    for n, (temperature, result) in enumerate(asked.results()):
        if n:
            writer.write("---\n")
        if len(asked.temperatures) > 1:
            writer.heading(f"temperature {temperature:g}")
        writer.prompt(before)
        _write_text(asked, result.text, writer, tint)
        writer.write("\n")


def _write_text(asked: Asked, text: str, writer: TextWriter, tint: str | None) -> None:
    """Write a text after the prompt, in colours if ``tint`` names what they tell."""
    if tint is None:
        writer.write(text)
        return
    before = asked.before()
    numbers = _numbers(asked, before + text, tint)
    writer.tinted(list(zip(before + text, numbers, strict=False))[len(before) :], tint)


def _numbers(asked: Asked, text: str, tint: str) -> list[float]:
    """Return what the colour of each character tells: its bits, or the network's share."""
    if not text:
        return []
    label = asked.options.get("label", ())
    if tint == "gate":
        return asked.generator.gate_characters(text, label)
    scores = asked.generator.score_characters(text, label=label)
    return [nats / math.log(2) for nats in scores.nats]


def _show_ranked(asked: Asked, keep: int, writer: TextWriter, tint: str | None) -> None:
    """The prompt once, and below it the best texts, each with its number and its seed."""
    if before := asked.before():
        writer.prompt(before if before.endswith("\n") else f"{before}\n")
    several = len(asked.temperatures) > 1
    for n, (temperature, each) in enumerate(asked.ranked(keep)):
        if n:
            writer.write("---\n")
        at = f"temperature {temperature:g}, " if several else ""
        writer.heading(
            f"{at}{n % keep + 1}. drawn as number {each.number}, seed {each.result.seed}, "
            f"{each.distance:.2f} bits from real text, {each.repeated:.0%} repeated"
        )
        _write_text(asked, each.result.text, writer, tint)
        writer.write("\n")


def _show_beside(asked: Asked, writer: TextWriter) -> None:
    texts = [(asked.before(), result.text) for _, result in asked.results()]
    headings = [f"temperature {temperature:g}" for temperature in asked.temperatures]
    writer.beside(headings, texts)
