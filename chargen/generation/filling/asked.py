"""From a run and options to fillings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chargen.errors import CheckpointError, GenerationError
from chargen.options import InfillConfig, check

if TYPE_CHECKING:
    from chargen.generation.filling.filler import Filler, Filling
    from chargen.runs.loaded import LoadedModel


def filler_of(loaded: LoadedModel) -> Filler:
    """What fills gaps with a run.

    Raises:
        CheckpointError: the run has learnt a task that tells nothing of single characters.
    """
    from chargen.generation.filling.filler import Filler
    from chargen.network.infiller import Infiller
    from chargen.network.model import CharModel

    network = loaded.network
    if isinstance(network, (Infiller, CharModel)):
        return Filler(network, loaded.tokenizer, loaded.ngram)
    raise CheckpointError(
        f"{loaded.path} has learnt the task {loaded.config.model.task}, and can't fill gaps.",
        "Name a run of the task infill, or a language model.",
    )


def checked(options: Mapping[str, Any]) -> InfillConfig:
    """The options of filling; ConfigError names all that aren't usable."""
    config = InfillConfig(**options)
    check(config)
    return config


def filled(
    filler: Filler, lines: Sequence[str], config: InfillConfig, seed: int
) -> Iterator[list[Filling]]:
    """The fillings of each line, one after another; a line without a gap has none.

    Raises:
        ConfigError: the network has no use for an option.
        GenerationError: no line has a gap, or one can't be filled, before any is.
    """
    filler.check(config)
    if not any(config.mark in line for line in lines):
        filler.read("\n".join(lines[:1]), config.mark)
    for n, line in enumerate(lines, 1):
        if config.mark in line:
            try:
                filler.read(line, config.mark)
            except GenerationError as error:
                where = f"Line {n:,}: " if len(lines) > 1 else ""
                raise GenerationError(f"{where}{error.message}", error.remedy) from error
    return (
        filler.fill(filler.read(line, config.mark), config, seed) if config.mark in line else []
        for line in lines
    )
