"""A trained model, as the public API gives it: it writes, and it judges texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.options import BatchConfig, SamplingConfig, check, distribute, keyword_options

if TYPE_CHECKING:
    from chargen.evaluation.scores import CharScores, Score
    from chargen.generation.engine import Engine
    from chargen.generation.poems.forms import Form
    from chargen.generation.requests import Request, Result
    from chargen.runs.folder import LoadedModel

_MOST_WAITING = 4096
"""Texts that may be begun before one of them is given."""


class Generator:
    """A trained model, ready to write and to judge texts; its weights stay as they are.

    Attributes:
        path: its run folder.
    """

    def __init__(self, path: Path, loaded: LoadedModel) -> None:
        self.path = path
        self.loaded = loaded  # weights, tokenizer and config, which are not part of the public API

    @cached_property
    def _engine(self) -> Engine:
        from chargen.generation.engine import Engine

        loaded = self.loaded
        return Engine(loaded.model, loaded.tokenizer, loaded.ngram, convert=self.as_learnt)

    @property
    def conversion(self) -> str:
        """How the text of the run was converted, and prompts are: ``t2s``, ``s2t`` or ``none``."""
        return self.loaded.config.corpus.settings.convert

    @property
    def unwrap(self) -> str:
        """Whether wrapped lines of the run's text were joined: ``auto``, ``yes`` or ``no``."""
        return self.loaded.config.corpus.settings.unwrap

    @cached_property
    def _converter(self) -> Callable[[str], str]:
        from chargen.corpus.conversion import converter

        return converter(self.conversion)

    def as_learnt(self, text: str) -> str:
        """Convert a text between the Chinese scripts as the run's own text was.

        Raises:
            MissingExtraError: it has to be converted, and OpenCC is not installed.
        """
        if self.conversion == "none" or text.isascii():
            return text
        return self._converter(text)

    def identity(self) -> dict[str, str]:
        """What a text depends on besides prompt, options and seed."""
        loaded = self.loaded
        return {
            "weights_sha256": loaded.weights_sha256,
            "tokenizer_sha256": loaded.tokenizer.sha256,
            **({"ngram_sha256": loaded.ngram_sha256} if loaded.ngram_sha256 else {}),
            "device": self._engine.network.device.type,
        }

    @keyword_options(SamplingConfig)
    def stream(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        oov_prompt: str = "error",
        form: Form | str | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """One text, piece by piece as it comes; the prompt is not part of it.

        Errors are raised at once, before the first piece is asked for.

        Args:
            prompt: what the model reads first.
            seed: the text is a function of checkpoint, prompt, options and seed.
            oov_prompt: ``error`` or ``skip``, for prompt characters that the model can't read.
            form: of a poem, as an object, a name or JSON; it decides the length.
            options: as in ``chargen sample``: temperature, length and so on.

        Raises:
            ConfigError: options that are unknown, out of range or contradictory, all at once.
            GenerationError: the prompt has characters that the model has never seen.
        """
        from chargen.generation.requests import Chunk

        asked = {"seed": seed, "oov_prompt": oov_prompt}
        request = next(_requests(prompt, form, options, asked))
        engine = engine_of(self, slots=1, oov_prompt=oov_prompt)
        engine.check(request)
        return (part.text for part in engine.stream([request]) if isinstance(part, Chunk))

    @keyword_options(SamplingConfig)
    def generate(
        self,
        prompt: str = "",
        *,
        num_samples: int = 1,
        seed: int = 0,
        oov_prompt: str = "error",
        form: Form | str | None = None,
        **options: Any,
    ) -> list[str]:
        """Whole texts after ``prompt``, ``num_samples`` of them, drawn side by side.

        Text number n is the same whatever ``num_samples`` is. Arguments and errors as ``stream``.
        """
        results = self.iter_results(
            prompt,
            num_samples=num_samples,
            seed=seed,
            oov_prompt=oov_prompt,
            form=form,
            **options,
        )
        return [result.text for result in results]

    @keyword_options(SamplingConfig)
    def results(
        self,
        prompt: str = "",
        *,
        num_samples: int = 1,
        seed: int = 0,
        oov_prompt: str = "error",
        form: Form | str | None = None,
        **options: Any,
    ) -> list[Result]:
        """As ``generate``, each text with its seed, length and why it ended."""
        found = self.iter_results(
            prompt, num_samples=num_samples, seed=seed, oov_prompt=oov_prompt, form=form, **options
        )
        return list(found)

    @keyword_options(SamplingConfig)
    def iter_results(
        self,
        prompt: str = "",
        *,
        num_samples: int = 1,
        seed: int = 0,
        oov_prompt: str = "error",
        form: Form | str | None = None,
        **options: Any,
    ) -> Iterator[Result]:
        """As ``results``, one after the other as they are done, and few are held at a time.

        Errors are raised at once.
        """
        asked = {"num_samples": num_samples, "seed": seed, "oov_prompt": oov_prompt}
        requests = _requests(prompt, form, options, asked)
        engine = engine_of(self, slots=min(num_samples, 64), oov_prompt=oov_prompt)
        first = next(requests)
        engine.check(first)
        return _in_order(engine, chain([first], requests))

    def score(self, text: str, batch_size: int = 32) -> Score:
        """Bits per character of ``text`` and more, by the fixed protocol of ``evaluation``."""
        return self.score_characters(text, batch_size).total()

    def score_characters(self, text: str, batch_size: int = 32) -> CharScores:
        """What each character of ``text`` costs, in order."""
        from chargen.evaluation.scores import score_characters

        loaded = self.loaded
        ids = loaded.tokenizer.encode(self.as_learnt(text))
        return score_characters(loaded.model, loaded.tokenizer, ids, batch_size, loaded.ngram)


def engine_of(
    generator: Generator, *, slots: int = 64, oov_prompt: str = "error", logprobs: bool = False
) -> Engine:
    """The engine of a generator, which generates many texts at once.

    All engines of a generator share its weights, laid out for generation, and the prompts read.
    """
    return generator._engine.using(slots=slots, oov_prompt=oov_prompt, logprobs=logprobs)


def _requests(
    prompt: str, form: Form | str | None, options: Mapping[str, Any], asked: Mapping[str, Any]
) -> Iterator[Request]:
    """A request for each text, made when it is asked for; ``asked`` are options of BatchConfig.

    Raises:
        ConfigError: names all options that are not usable.
    """
    from chargen.generation.batch.fields import read_form
    from chargen.generation.requests import Request
    from chargen.generation.sampler import sample_seed

    (drawn,) = distribute(options, SamplingConfig)
    sampling, batch = SamplingConfig(**drawn), BatchConfig.from_dict(asked)
    wanted, problems = read_form(form)
    check(sampling, batch, also=problems)
    seeds = (sample_seed(batch.seed, n) for n in range(batch.num_samples))
    return (Request(prompt, sampling, each, wanted) for each in seeds)


def _in_order(engine: Engine, requests: Iterator[Request]) -> Iterator[Result]:
    """The results of requests, in their order; a text that is slow holds up the others' begin."""
    done: dict[int, Result] = {}
    given = 0

    def asked() -> Iterator[Request | None]:
        for n, request in enumerate(requests):
            while n - given >= _MOST_WAITING:
                yield None
            yield request

    for result in engine.generate(asked()):
        done[result.index] = result
        while given in done:
            yield done.pop(given)
            given += 1
