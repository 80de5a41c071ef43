"""Options of filling gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.options.field import Config, option


def _one_sign(mark: str) -> str | None:
    return None if len(mark) == 1 and mark.isprintable() and mark != " " else "one visible sign"


@dataclass(frozen=True)
class InfillConfig(Config):
    """How the gaps of a text are marked and filled."""

    mark: str = option("□", "Sign that stands for a missing character", rule=_one_sign)
    num_samples: int = option(
        1,
        "Fillings of each line, the likeliest first; with a temperature, in the order drawn",
        low=1,
        high=1000,
        aliases=("-n",),
    )
    beam_size: int = option(
        32,
        "Fillings that are followed side by side at temperature 0, or of which a language model "
        "draws",
        low=1,
        high=4096,
    )
    temperature: float = option(
        0.0,
        "Divisor of the logits of drawn fillings; 0: the likeliest fillings instead",
        low=0,
        flag="--temp",
        aliases=("--temperature", "-t"),
    )

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        config = cls(**values)
        if not config.temperature and config.num_samples > config.beam_size:
            return [
                f"`num_samples` is {config.num_samples}, but `beam_size` is {config.beam_size}, "
                "and a beam has no more fillings than that"
            ]
        return []
