"""Options of reading texts with a run: their vectors, and their labels."""

from __future__ import annotations

from dataclasses import dataclass

from chargen.options.field import Config, option


@dataclass(frozen=True)
class EmbedConfig(Config):
    """How a text becomes a vector."""

    pooling: str = option(
        "auto",
        "What the vector of a text is made of",
        choices={
            "auto": "what the run itself uses",
            "last": "the state at its end",
            "mean": "the mean over its characters",
        },
    )
    normalize: bool = option(False, "Scale each vector to length 1")


@dataclass(frozen=True)
class ClassifyConfig(Config):
    """What is told of a text's label."""

    best: int = option(1, "Labels of each text, the likeliest first", low=1, aliases=("-k",))
    threshold: float = option(
        0.0, "Least probability of a label; below it a text has none", low=0, high=1
    )
    key: str | None = option(
        None,
        "Key of the label, such as author, for a language model with several",
        default_text="the only one",
    )
