"""Options of sampling and of batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.options.field import Config, option
from chargen.options.training import TrainConfig
from chargen.options.workers import shard_option

SAMPLING = "Sampling, in order of application"
ANSWERS = "Answers of a run of the task seq2seq"
_OF_DRAWN = ("stop", "end")
"""Options that a beam passes over, as it does those of the panel ``SAMPLING``."""
_NONE_IN_BEAM = ("recall", "loop_penalty")
"""Options that 0 turns off: then they are as a beam has them."""


@dataclass(frozen=True)
class SamplingConfig(Config):
    """How a text is sampled, and where it ends.

    Applied in this order: recall, masks, loop penalty, repetition penalty, temperature, top-k,
    top-p, min-p, draw.
    """

    length: int = option(500, "Characters to generate", low=0, aliases=("-n",))
    recall: float = option(
        1.0,
        "How strongly names and phrases of the prompt come back; 0: off",
        low=0,
        high=100,
        panel=SAMPLING,
    )
    loop_penalty: float = option(
        3.0,
        "Nats taken from the logit of a piece that prolongs a repetition, for each piece beyond "
        "the loop length, times 1 − temperature: low temperatures repeat themselves less, and "
        "temperatures from 1 on are unchanged; 0: off",
        low=0,
        high=100,
        panel=SAMPLING,
    )
    loop_length: int = option(
        5, "Pieces of a repetition without loop penalty", low=1, high=200, panel=SAMPLING
    )
    loop_window: int = option(
        512,
        "Recent pieces in which repetitions are found",
        low=1,
        high=1 << 16,
        panel=SAMPLING,
    )
    repetition_penalty: float = option(
        1.0,
        "Divisor of the logits of recent pieces (a factor where they are negative); 1: off",
        low=0.01,
        high=100,
        panel=SAMPLING,
    )
    repetition_window: int = option(
        64, "Recent pieces that the penalty covers", low=1, high=1 << 20, panel=SAMPLING
    )
    temperature: float = option(
        0.8,
        "Divisor of the logits: the lower, the more predictable; 0: always the likeliest piece",
        low=0,
        flag="--temp",
        aliases=("--temperature", "-t"),
        panel=SAMPLING,
    )
    top_k: int = option(0, "Number of likeliest pieces to draw from; 0: off", low=0, panel=SAMPLING)
    top_p: float = option(
        1.0,
        "Total probability of the likeliest pieces to draw from; 1: off",
        above=0,
        high=1,
        panel=SAMPLING,
    )
    min_p: float = option(
        0.0,
        "Least probability of a piece, relative to the likeliest piece; 0: off",
        low=0,
        below=1,
        panel=SAMPLING,
    )
    stop: tuple[str, ...] = option((), "String before which a text ends", escaped=True)
    end: str = option(
        "none",
        "End of a text that has reached its length",
        choices={
            "none": "at once",
            "sentence": "at the end of the sentence, or at twice the length",
            "paragraph": "at the end of the line, or at twice the length",
        },
    )

    label: tuple[str, ...] = option(
        (),
        "Label of the text, KEY=VALUE; several values are mixed: KEY=VALUE:0.7,VALUE:0.3",
        keyed=True,
    )
    match_source_length: bool = option(
        False, "As many characters as the line that is answered", panel=ANSWERS
    )
    beam_size: int = option(
        0,
        "Answers that are followed at once, for the likeliest ones instead of drawn ones; 0: off",
        low=0,
        high=1024,
        panel=ANSWERS,
    )
    n_best: int = option(1, "Likeliest answers, at most the beam's size", low=1, panel=ANSWERS)
    length_penalty: float = option(
        0.6,
        "A in ((5 + pieces) / 6)^A, by which a beam divides log-probabilities; 0: off",
        low=0,
        high=10,
        panel=ANSWERS,
    )

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        found = ["`stop` contains an empty string"] if "" in values.get("stop", ()) else []
        halves = sorted(
            {c for text in values.get("stop", ()) for c in text if "\ud800" <= c <= "\udfff"}
        )
        if halves:
            named = ", ".join(f"U+{ord(character):04X}" for character in halves)
            found.append(f"`stop` contains the lone surrogate {named}")
        beam, best = values.get("beam_size", 0), values.get("n_best", 1)
        if best > max(1, beam):
            found.append(
                f"`n_best` is {best}, but `beam_size` is {beam}: a beam has no more answers than "
                "its size"
            )
        return found + cls._conflicts_with_beam(values)

    @classmethod
    def _conflicts_with_beam(cls, values: Mapping[str, Any]) -> list[str]:
        """Describe which options the way to find a text has no use for, a beam or drawing."""
        entries = cls.entries()
        given = [name for name, value in values.items() if value != entries[name].default]
        if not values.get("beam_size"):
            idle = "`length_penalty` is for a beam, and `beam_size` is 0: texts are drawn"
            return [idle] if "length_penalty" in given else []
        return [
            f"`{name}` is for texts that are drawn, and `beam_size` finds the likeliest"
            for name in given
            if (name in _OF_DRAWN or entries[name].option.panel == SAMPLING)
            and (name not in _NONE_IN_BEAM or values[name])
        ]


@dataclass(frozen=True)
class BatchConfig(Config):
    """Options of a batch of texts besides those of sampling."""

    num_samples: int = option(1, "Texts per prompt", low=1, high=1_000_000)
    best_of: int = option(
        1,
        "Candidates drawn for each text; the one most like real text is kept",
        low=1,
        high=1000,
    )
    seed: int = option(
        0,
        "Seed of a single text; of several, the seed of each is derived from it",
        low=0,
        below=2**64,
    )
    oov_prompt: str = option(
        "error",
        "Treatment of prompt characters outside the vocabulary",
        choices={"error": "", "skip": "left out"},
    )
    batch_size: int = option(64, "Texts generated at once; affects only the speed", low=1)
    resume: bool = option(False, "Complete an unfinished output")
    force: bool = option(False, "Replace an existing output")
    ordered: bool = option(
        True,
        "Texts in job order, or in the order of completion",
        flag="--ordered/--unordered",
        negatable=True,
    )
    keep_going: bool = option(
        False,
        "For an invalid job, a poem that fails, or a job that ends every worker, write its error "
        "instead of stopping",
    )
    with_prompt: bool = option(False, "Add prompt, what the text continues")
    logprobs: bool = option(False, "Add bits_per_char, each text's cost under the model")
    device: str = option(
        TrainConfig.device,
        "Device",
        choices=TrainConfig.entries()["device"].option.choices,
    )
    shard: str | None = shard_option()

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        if values.get("resume") and values.get("force"):
            return ["`resume` and `force` contradict each other: give one"]
        return []
