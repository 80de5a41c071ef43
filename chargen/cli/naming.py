"""Flags of options, and library messages with their option names turned into flags."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chargen.generation.poems.forms import Form
from chargen.options import (
    BatchConfig,
    CorpusConfig,
    ExportConfig,
    ModelConfig,
    SamplingConfig,
    ServeConfig,
    TrainConfig,
    WorkersConfig,
)
from chargen.options.field import Entry

_CONFIGS = (
    CorpusConfig,
    ModelConfig,
    TrainConfig,
    SamplingConfig,
    BatchConfig,
    Form,
    ServeConfig,
    ExportConfig,
    WorkersConfig,
)
_OTHERS = {"runs_dir": "--runs"}
_QUOTES = "\"'"
_OPTION = re.compile(r"`([a-z][a-z_]*)(?:=([^`\s]+))?`")


def every_option() -> Iterator[Entry]:
    """Yield the options of all configs."""
    for config in _CONFIGS:
        yield from config.entries().values()


def in_flags(text: str) -> str:
    """Replace the option names in a library message by flags.

    ```top_p``` becomes ``--top-p``, ```val_frac=0``` ``--val-frac 0``, ```oov="unk"``` ``--oov
    unk``, and ```bias=False``` ``--no-bias``.
    """
    flags = {entry.parameter: entry.flags[0] for entry in every_option()} | _OTHERS

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        on, _, off = flags.get(name, f"--{name.replace('_', '-')}").partition("/")
        if value == "False":
            return off or on
        return on if value in (None, "True") else f"{on} {value.strip(_QUOTES)}"

    return _OPTION.sub(flag, text)
