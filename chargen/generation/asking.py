"""From what is asked for to requests, one for each text."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chargen.generation.requests import Request
from chargen.generation.seeds import text_seeds
from chargen.options import BatchConfig, SamplingConfig, check, distribute

if TYPE_CHECKING:
    from chargen.generation.poems.forms import Form


def chosen_seed(seed: int | None) -> int:
    """The seed that was given, or a random one that is easily typed."""
    return secrets.randbelow(2**31) if seed is None else seed


def requests_for(
    prompt: str,
    form: Form | str | Mapping[str, Any] | None,
    options: Mapping[str, Any],
    asked: Mapping[str, Any],
) -> Iterator[Request]:
    """A request for each text, made when it is asked for; ``asked`` are options of BatchConfig.

    Raises:
        ConfigError: names all options that are not usable.
    """
    from chargen.generation.poems.asked import read_form

    (drawn,) = distribute(options, SamplingConfig)
    sampling, batch = SamplingConfig(**drawn), BatchConfig.from_dict(asked)
    wanted, problems = read_form(form)
    problems += problems_of_beam(sampling, batch.num_samples, batch.best_of)
    check(sampling, batch, also=problems)
    request = Request(prompt, sampling, batch.seed, wanted, batch.best_of)
    return each_text(request, batch.num_samples)


def each_text(request: Request, samples: int) -> Iterator[Request]:
    """A request for each of so many texts, or for each of the likeliest answers."""
    if request.config.beam_size:
        return (replace(request, rank=rank) for rank in range(request.config.n_best))
    return (replace(request, seed=seed) for seed in text_seeds(request.seed, samples))


def number_of_texts(request: Request, samples: int) -> int:
    """How many requests ``each_text`` makes."""
    return request.config.n_best if request.config.beam_size else samples


def problems_of_beam(config: SamplingConfig, samples: int, best_of: int) -> list[str]:
    """Describe what contradicts a beam, which draws nothing."""
    given = {"num_samples": samples, "best_of": best_of}
    return [
        f"`{name}` is for texts that are drawn, and `beam_size` finds the likeliest: use `n_best`"
        for name, value in given.items()
        if config.beam_size and value > 1
    ]
