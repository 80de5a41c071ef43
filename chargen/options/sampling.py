"""How texts are drawn from a network, and what a batch of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.options.field import Config, option
from chargen.options.training import TrainConfig

SAMPLING = "Sampling, in the order in which it is applied"


@dataclass(frozen=True)
class SamplingConfig(Config):
    """How a text is drawn from a network, and where it ends.

    Applied in this order: masks, repetition penalty, temperature, top-k, top-p, min-p, draw.
    """

    length: int = option(500, "Characters to generate", low=0, aliases=("-n",))
    repetition_penalty: float = option(
        1.0,
        "Divisor of the logits of recent pieces (a factor where they are negative); 1: off",
        low=0.01,
        high=100,
        panel=SAMPLING,
    )
    repetition_window: int = option(
        64, "Recent pieces that the penalty looks back on", low=1, high=1 << 20, panel=SAMPLING
    )
    temperature: float = option(
        0.8,
        "Divisor of the logits: low is careful, high is wild; 0 always takes the likeliest",
        low=0,
        flag="--temp",
        aliases=("--temperature", "-t"),
        panel=SAMPLING,
    )
    top_k: int = option(0, "Draw from the k likeliest only; 0: off", low=0, panel=SAMPLING)
    top_p: float = option(
        1.0,
        "Draw from the fewest pieces that together reach this probability; 1: off",
        above=0,
        high=1,
        panel=SAMPLING,
    )
    min_p: float = option(
        0.0,
        "Drop pieces less likely than this share of the likeliest; 0: off",
        low=0,
        below=1,
        panel=SAMPLING,
    )
    stop: tuple[str, ...] = option((), "Texts to end before", escaped=True)

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        found = ["`stop` has an empty string"] if "" in values.get("stop", ()) else []
        halves = sorted(
            {c for text in values.get("stop", ()) for c in text if "\ud800" <= c <= "\udfff"}
        )
        if halves:
            named = ", ".join(f"U+{ord(character):04X}" for character in halves)
            found.append(f"`stop` has the lone surrogate {named}, which is half a character")
        return found


@dataclass(frozen=True)
class BatchConfig(Config):
    """What a batch of texts needs besides how each is drawn."""

    num_samples: int = option(1, "Texts per prompt", low=1, high=1_000_000)
    seed: int = option(
        0,
        "Seed, from which each text gets its own",
        low=0,
        below=2**64,
    )
    oov_prompt: str = option(
        "error",
        "What becomes of prompt characters that the model can't read",
        choices={"error": "", "skip": "they are left out"},
    )
    batch_size: int = option(64, "Texts generated at a time; it changes the speed alone", low=1)
    resume: bool = option(False, "Complete an output that was begun")
    force: bool = option(False, "Replace an output that exists")
    ordered: bool = option(
        True,
        "Write texts in job order, or as they are completed",
        flag="--ordered/--unordered",
        negatable=True,
    )
    keep_going: bool = option(False, "Turn a bad job into a line with its error")
    logprobs: bool = option(False, "Add bits_per_char, measured under the model itself")
    device: str = option(
        TrainConfig.device,
        "Device",
        choices=TrainConfig.entries()["device"].option.choices,
    )

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        if values.get("resume") and values.get("force"):
            return ["`resume` and `force` contradict each other: give one"]
        return []
