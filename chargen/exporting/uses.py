"""How a model of each task is used, in the shell and in Python, for its card."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chargen.corpus.labels import Labels
from chargen.exporting.command import differing
from chargen.options import ClassifyConfig, Config, InfillConfig, SamplingConfig

BEST, BEAM = 3, 8
EXAMPLES = "examples.jsonl"
_SAMPLING = SamplingConfig(temperature=0.7, length=240)


@dataclass(frozen=True)
class Use:
    """A command in the model's folder, and what follows ``model.`` in Python."""

    command: str
    call: str


def drawing(labels: Labels) -> SamplingConfig:
    """How a text is written: of a run with labels, with the most frequent value of the first."""
    most = [f"{key}={values[0][0]}" for key, values in labels.values.items() if values]
    return SamplingConfig(
        temperature=_SAMPLING.temperature, length=_SAMPLING.length, label=tuple(most[:1])
    )


def use_of(task: str, labels: Labels, text: str | None) -> Use:
    """How to use a model, given one of its examples; None: some text."""
    return _USES[task](labels, text)


def _command(name: str, *words: str, given: Config) -> str:
    usual = type(given)()
    return shlex.join(["chargen", name, ".", *words, *differing(given, usual)])


def _writing(labels: Labels, _text: str | None) -> Use:
    label = drawing(labels).label
    given = f", label={label[0]!r}" if label else ""
    command = _command("sample", given=SamplingConfig(label=label))
    return Use(command, f"generate(length=200{given})[0]")


def _telling(_labels: Labels, text: str | None) -> Use:
    file = "texts.txt" if text is None else EXAMPLES
    command = _command("classify", file, given=ClassifyConfig(best=BEST))
    return Use(command, f"classify([{text or 'a text'!r}], best={BEST})[0].best")


def _answering(_labels: Labels, text: str | None) -> Use:
    line = text or "a line"
    command = _command("sample", "-p", line, given=SamplingConfig(beam_size=BEAM))
    return Use(command, f"answer({line!r}, beam_size={BEAM})[0]")


def _filling(_labels: Labels, text: str | None) -> Use:
    line = text or InfillConfig.mark * 4
    return Use(_command("infill", line, given=InfillConfig()), f"infill({line!r})[0].text")


_USES: Mapping[str, Callable[[Labels, str | None], Use]] = {
    "lm": _writing,
    "classify": _telling,
    "seq2seq": _answering,
    "infill": _filling,
}
