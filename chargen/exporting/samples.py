"""The sample on a card: a text that the model wrote, or what it made of a few given texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chargen.corpus.record_fields import LONGEST
from chargen.errors import ConfigError, GenerationError
from chargen.exporting.command import SEED, sample_command
from chargen.exporting.examples import shipped_lines
from chargen.exporting.language import language_of
from chargen.exporting.uses import BEAM, BEST, EXAMPLES, drawing, use_of
from chargen.generation.generator import Generator
from chargen.options import ExportConfig, InfillConfig
from chargen.runs.loaded import LoadedModel

SAMPLE = "sample.txt"
_LISTED = 10
"""Characters that an error names, at most."""
_HIDDEN = 2
"""Characters of a gap in a line that had none."""


@dataclass(frozen=True)
class Sample:
    """What a model wrote, or made of a few texts.

    Attributes:
        command: shows it again, in the exported folder; of several texts, what is made of the
            first.
        shown: the lines of the sample.
        about: a sentence on where the texts come from, or nothing.
        given: the first text that the model was given; None if it was given none.
        files: files of the sample, content by name.
    """

    command: str
    shown: str
    about: str = ""
    given: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def sample_of(loaded: LoadedModel, config: ExportConfig) -> Sample | None:
    """Let a model write a sample, or None where there is no text to give it.

    Texts are ``config.example``, or else lines of a shipped text in the language of the run. Texts
    of its own corpus are never shown: it may be gone, or not be meant for others.

    Raises:
        ConfigError: an example is too long or has no gap to fill, or the model needs none.
        GenerationError: an example has characters that the model can't read.
    """
    model, task = Generator(loaded.path, loaded), loaded.config.model.task
    if task == "lm":
        if config.example:
            raise ConfigError(
                "`example` is given, but a language model writes its sample by itself.",
                "Leave it out.",
            )
        return _written(model)
    texts, about = config.example, ""
    if not texts:
        language = config.language or language_of(loaded.tokenizer)
        texts, about = shipped_lines(loaded, language)
        if task == "infill":
            texts = tuple(map(_with_gap, texts))
    if not texts:
        return None
    _check(model, texts)
    done = zip(texts, _DONE[task](model, texts), strict=True)
    lines = [f"{text}\n→ {found}" for text, found in done]
    files = {}
    if task == "classify":
        key = loaded.config.corpus.settings.text_key
        records = (json.dumps({key: text}, ensure_ascii=False) for text in texts)
        files[EXAMPLES] = "".join(f"{record}\n" for record in records)
    command = use_of(loaded, texts[0]).command
    return Sample(command, "\n".join(lines), about, texts[0], files)


def _check(model: Generator, texts: Sequence[str]) -> None:
    """Raise an error where a model can't be given a text."""
    task, tokenizer = model.loaded.config.model.task, model.loaded.tokenizer
    mark = InfillConfig.mark if task == "infill" else ""
    for text in texts:
        if len(text) > LONGEST:
            raise ConfigError(
                f"An `example` has {len(text):,} characters, and a record at most {LONGEST:,}.",
                "Choose a shorter one.",
            )
        if mark not in text:
            raise ConfigError(f"The `example` {text!r} has no gap.", f"Mark one with {mark}.")
        unseen = [each for each in tokenizer.unseen(model.as_learnt(text)) if each != mark]
        if unseen and task != "classify" and not tokenizer.has_bytes:
            raise GenerationError(
                f"The `example` {text!r} has {', '.join(map(repr, unseen[:_LISTED]))}, which the "
                "model has never seen.",
                "Choose one without.",
            )


def _written(model: Generator) -> Sample:
    wanted = drawing(model.loaded.config.corpus.label_space)
    options = {name: getattr(wanted, name) for name in ("temperature", "length", "label")}
    text = model.generate(seed=SEED, **options)[0]
    return Sample(sample_command(wanted), text, files={SAMPLE: f"{text}\n"})


def _classified(model: Generator, texts: Sequence[str]) -> Iterator[str]:
    for told in model.classify(texts, best=BEST):
        yield ", ".join(f"{label} {100 * score:.0f} %" for label, score in told.best)


def _answered(model: Generator, texts: Sequence[str]) -> Iterator[str]:
    yield from model.answer(texts, seed=SEED, beam_size=BEAM)


def _filled(model: Generator, texts: Sequence[str]) -> Iterator[str]:
    yield from (best.text for best, *_ in model.infill_lines(texts))


def _with_gap(line: str) -> str:
    """A line with a gap, where a verse or a short sentence has no mark."""
    first = len(line) // 4
    return f"{line[:first]}{InfillConfig.mark * _HIDDEN}{line[first + _HIDDEN :]}"


_DONE: Mapping[str, Callable[[Generator, Sequence[str]], Iterator[str]]] = {
    "classify": _classified,
    "seq2seq": _answered,
    "infill": _filled,
}
