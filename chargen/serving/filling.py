"""A gap between prompt and suffix, filled by a run that has read both sides of gaps."""

from __future__ import annotations

from functools import partial

from chargen.errors import ChargenError
from chargen.generation.requests import Chunk, Request, Result
from chargen.options import InfillConfig
from chargen.serving.flow import Text
from chargen.serving.model import Model
from chargen.serving.refusals import RefusedError
from chargen.serving.threads import in_thread

_MARK = InfillConfig.mark


class Fillings:
    """The texts of a request with a suffix: each fills a gap of ``max_tokens`` characters.

    Args:
        requests: what to fill.
        suffix: what follows each gap.
        model: the run.
    """

    def __init__(self, requests: tuple[Request, ...], suffix: str, model: Model) -> None:
        self.texts = [Text(request) for request in requests]
        self.characters = 0
        self._suffix, self._model = suffix, model

    async def finished(self) -> None:
        """Fill all gaps, one after another.

        Raises:
            RefusedError: a line can't be filled.
        """
        for n, text in enumerate(self.texts):
            request = text.request
            if _MARK in request.prompt + self._suffix:
                words = f"Prompt and suffix can't have the sign {_MARK}, which stands for the gap."
                raise RefusedError(400, words, param="prompt")
            try:
                filled = await in_thread(partial(self._fill, request), self._model.turn)
            except ChargenError as error:
                raise RefusedError.of(error, param="prompt") from error
            self.characters += len(filled)
            text.add(Chunk(n, filled))
            text.result = Result(n, filled, "length", len(filled), request.seed, None)

    def _fill(self, request: Request) -> str:
        line = request.prompt + _MARK * request.config.length + self._suffix
        temperature = request.config.temperature
        (found,) = self._model.generator.infill_lines(
            [line], seed=request.seed, temperature=temperature
        )
        return found[0].filled
