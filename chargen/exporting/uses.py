"""How a model of each task is used, in the shell and in Python, for its card."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chargen.corpus.labels import Labels
from chargen.exporting.command import differing, escaped
from chargen.options import ClassifyConfig, Config, InfillConfig, SamplingConfig
from chargen.runs.loaded import LoadedModel

BEST, BEAM = 3, 8
EXAMPLES = "examples.jsonl"
_LETTERS = 3
"""Characters of a text that stands in for an example."""
_SAMPLING = SamplingConfig(temperature=0.7, length=240)


@dataclass(frozen=True)
class Use:
    """A command for the model's folder, and a call of a method of ``chargen.load(".")``."""

    command: str
    call: str


def drawing(labels: Labels) -> SamplingConfig:
    """The options of a sample, with the most frequent value of the first label, if any."""
    most = [f"{key}={values[0][0]}" for key, values in labels.values.items() if values]
    return SamplingConfig(
        temperature=_SAMPLING.temperature, length=_SAMPLING.length, label=tuple(most[:1])
    )


def use_of(loaded: LoadedModel, text: str | None) -> Use:
    """How to use a model, given one of its examples; None: some text that it can read."""
    return _USES[loaded.config.model.task](loaded, text)


def _command(name: str, *words: str, given: Config) -> str:
    usual = type(given)()
    return shlex.join(["chargen", name, ".", *words, *differing(given, usual)])


def _usual(loaded: LoadedModel) -> str:
    """A text of the most frequent letters of a vocabulary, or its other characters."""
    known = [c for c in loaded.tokenizer.characters if c.strip() and c.isprintable()]
    return "".join(sorted(known, key=lambda c: not c.isalpha())[:_LETTERS])


def _writing(loaded: LoadedModel, _text: str | None) -> Use:
    label = drawing(loaded.config.corpus.label_space).label
    given = f", label={label[0]!r}" if label else ""
    command = _command("sample", given=SamplingConfig(label=label))
    return Use(command, f"generate(length=200{given})[0]")


def _classifying(_loaded: LoadedModel, text: str | None) -> Use:
    file = "texts.txt" if text is None else EXAMPLES
    command = _command("classify", file, given=ClassifyConfig(best=BEST))
    return Use(command, f"classify([{text or 'a text'!r}], best={BEST})[0].best")


def _answering(loaded: LoadedModel, text: str | None) -> Use:
    line = text or _usual(loaded)
    command = _command("sample", "-p", escaped(line), given=SamplingConfig(beam_size=BEAM))
    return Use(command, f"answer({line!r}, beam_size={BEAM})[0]")


def _filling(loaded: LoadedModel, text: str | None) -> Use:
    line = text or InfillConfig.mark.join(_usual(loaded))
    words = ["--", escaped(line)] if line.startswith("-") else [escaped(line)]
    return Use(_command("infill", *words, given=InfillConfig()), f"infill({line!r})[0].text")


_USES: Mapping[str, Callable[[LoadedModel, str | None], Use]] = {
    "lm": _writing,
    "classify": _classifying,
    "seq2seq": _answering,
    "infill": _filling,
}
