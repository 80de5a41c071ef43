"""A trained model, as the public API gives it: it writes, and it judges texts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from chargen.config import SamplingConfig, check

if TYPE_CHECKING:
    from chargen.evaluation.scores import CharScores, Score
    from chargen.generation.engine import Engine
    from chargen.generation.poems.forms import Form
    from chargen.generation.requests import Request, Result
    from chargen.runs.folder import LoadedModel


class SamplingOptions(TypedDict, total=False):
    """The fields of SamplingConfig."""

    length: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    repetition_window: int
    stop: tuple[str, ...]


class Generator:
    """A trained model, ready to write and to judge texts; its weights stay as they are.

    Attributes:
        path: its run folder.
        loaded: weights, tokenizer and config.
    """

    def __init__(self, path: Path, loaded: LoadedModel) -> None:
        self.path = path
        self.loaded = loaded

    def engine(
        self, *, slots: int = 64, oov_prompt: str = "error", logprobs: bool = False
    ) -> Engine:
        """The machine that generates many texts at once; see ``chargen.generation.engine``.

        All engines of a generator share the weights laid out for it, and the prompts once read.
        """
        return self._engine.using(slots=slots, oov_prompt=oov_prompt, logprobs=logprobs)

    @cached_property
    def _engine(self) -> Engine:
        from chargen.generation.engine import Engine

        return Engine(self.loaded.model, self.loaded.tokenizer)

    def identity(self) -> dict[str, str]:
        """What a text depends on besides prompt, options and seed."""
        loaded = self.loaded
        return {
            "weights_sha256": loaded.weights_sha256,
            "tokenizer_sha256": loaded.tokenizer.sha256,
            "device": self._engine.network.device.type,
        }

    def stream(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        oov_prompt: str = "error",
        form: Form | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Iterator[str]:
        """One text, piece by piece as it comes; the prompt is not part of it.

        What is wrong with the arguments is told at once, before the first piece is asked for.

        Args:
            prompt: what the model reads first.
            seed: the text is a function of checkpoint, prompt, options and seed.
            oov_prompt: ``error`` or ``skip``, for prompt characters that the model can't read.
            form: a poem's, see ``chargen.generation.poems.forms``; it decides the length.
            options: the fields of SamplingConfig.

        Raises:
            ConfigError: an option is out of range.
            GenerationError: the prompt has characters that the model has never seen.
        """
        from chargen.generation.requests import Chunk

        (request,) = _requests(prompt, 1, seed, options, form)
        engine = self.engine(slots=1, oov_prompt=oov_prompt)
        engine.check(request)
        return (part.text for part in engine.stream([request]) if isinstance(part, Chunk))

    def generate(
        self,
        prompt: str = "",
        *,
        num_samples: int = 1,
        seed: int = 0,
        oov_prompt: str = "error",
        form: Form | None = None,
        **options: Unpack[SamplingOptions],
    ) -> list[str]:
        """Whole texts after ``prompt``, ``num_samples`` of them, drawn side by side.

        Text number n is the same whatever ``num_samples`` is. Arguments and errors as ``stream``.
        """
        results = self.results(
            prompt,
            num_samples=num_samples,
            seed=seed,
            oov_prompt=oov_prompt,
            form=form,
            **options,
        )
        return [result.text for result in results]

    def results(
        self,
        prompt: str = "",
        *,
        num_samples: int = 1,
        seed: int = 0,
        oov_prompt: str = "error",
        form: Form | None = None,
        **options: Unpack[SamplingOptions],
    ) -> list[Result]:
        """As ``generate``, each text with its seed, length and why it ended."""
        engine = self.engine(slots=max(1, min(num_samples, 64)), oov_prompt=oov_prompt)
        found = engine.generate(_requests(prompt, num_samples, seed, options, form))
        return sorted(found, key=lambda result: result.index)

    def score(self, text: str, batch_size: int = 32) -> Score:
        """Bits per character of ``text`` and more, by the fixed protocol of ``evaluation``."""
        return self.score_characters(text, batch_size).total()

    def score_characters(self, text: str, batch_size: int = 32) -> CharScores:
        """What each character of ``text`` costs, in order."""
        from chargen.evaluation.scores import score_characters

        loaded = self.loaded
        ids = loaded.tokenizer.encode(text)
        return score_characters(loaded.model, loaded.tokenizer, ids, batch_size)


def _requests(
    prompt: str, num_samples: int, seed: int, options: SamplingOptions, form: Form | None
) -> list[Request]:
    from chargen.generation.requests import Request
    from chargen.generation.sampler import sample_seed

    config = SamplingConfig(**options)
    check(config)
    return [Request(prompt, config, sample_seed(seed, n), form) for n in range(num_samples)]
