"""What a trained model offers for filling gaps."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chargen.generation.filling.asked import checked, filled, filler_of
from chargen.options import InfillConfig, keyword_options

if TYPE_CHECKING:
    from chargen.generation.filling.filler import Filler, Filling
    from chargen.runs.loaded import LoadedModel


class FillsGaps:
    """The part of a ``Generator`` that fills gaps."""

    loaded: LoadedModel

    def as_learnt(self, text: str) -> str:
        """Convert a text between the Chinese scripts as the run's own text was."""
        raise NotImplementedError

    @cached_property
    def _filler(self) -> Filler:
        return filler_of(self.loaded)

    @keyword_options(InfillConfig)
    def infill(self, text: str, *, seed: int | None = None, **options: Any) -> list[Filling]:
        """Fill the gaps of a line, each marked by □ or another ``mark``.

        A run of the task ``infill`` has read both sides of a gap. A language model reads only what
        comes before; it judges its fillings by what comes after.

        Args:
            text: the line; each mark stands for one character.
            seed: of fillings that are drawn; None: a random one.
            options: as in ``chargen infill``: mark, num_samples, beam_size, temperature.

        Raises:
            CheckpointError: the run has learnt another task.
            ConfigError: options that are unknown, out of range or contradictory, all at once.
            GenerationError: the text has no gaps, or can't be read.
        """
        (found,) = self.infill_lines([text], seed=seed, **options)
        return found

    @keyword_options(InfillConfig)
    def infill_lines(
        self, lines: Sequence[str], *, seed: int | None = None, **options: Any
    ) -> Iterator[list[Filling]]:
        """As ``infill`` for each of some lines; one without a gap has no fillings.

        The fillings of a line don't depend on the others. Errors are raised at once.
        """
        config = checked(options)
        seed = secrets.randbelow(2**31) if seed is None else seed
        return filled(self._filler, list(map(self.as_learnt, lines)), config, seed)
