"""A trained model, as the public API gives it: it writes, and it judges texts."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from chargen.generation.filling.method import FillsGaps
from chargen.generation.reader import Reader
from chargen.options import BatchConfig, SamplingConfig, check, distribute, keyword_options

if TYPE_CHECKING:
    from chargen.generation.engine import Engine
    from chargen.generation.poems.forms import Form
    from chargen.generation.ranking import Ranked
    from chargen.generation.requests import Request, Result


class Generator(Reader, FillsGaps):
    """A trained model, ready to write and to judge texts; its weights stay as they are.

    Attributes:
        path: its run folder.
    """

    def __repr__(self) -> str:
        config = self.loaded.config
        model, corpus = config.model, config.corpus
        counts = f" and {model.ngram}-gram counts" if self.loaded.ngram else ""
        return (
            f"<Generator {self.path}: {model.num_layers} × {model.cell} of {model.hidden_size} "
            f"units{counts}, |V| = {model.vocab_size:,}, trained on {corpus.name}>"
        )

    @cached_property
    def _engine(self) -> Engine:
        from chargen.generation.engine import Engine

        loaded = self.loaded
        return Engine(
            loaded.model,
            loaded.tokenizer,
            loaded.ngram,
            convert=self.as_learnt,
            labels=loaded.config.corpus.label_space,
        )

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
        seed: int | None = None,
        oov_prompt: str = "error",
        form: Form | str | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """One text, piece by piece as it comes; the prompt is not part of it.

        Errors are raised at once, before the first piece is asked for.

        Args:
            prompt: what the model reads first.
            seed: the text is a function of checkpoint, prompt, options and seed; None: a random
                one.
            oov_prompt: ``error`` or ``skip``, for prompt characters that the model can't read.
            form: of a poem, as an object, a name or JSON; it decides the length.
            options: as in ``chargen sample``: temperature, length and so on.

        Raises:
            ConfigError: options that are unknown, out of range or contradictory, all at once.
            GenerationError: the prompt has characters that the model has never seen.
        """
        from chargen.generation.requests import Chunk

        asked = {"seed": _chosen(seed), "oov_prompt": oov_prompt}
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
        best_of: int = 1,
        seed: int | None = None,
        oov_prompt: str = "error",
        form: Form | str | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[str]:
        """Whole texts after ``prompt``, ``num_samples`` of them, drawn side by side.

        A single text has the seed that was given. Of several, each has one derived from it and its
        number, which ``results`` reports, and which gives the same text alone. Arguments and
        errors as ``stream``.
        """
        results = self.iter_results(
            prompt,
            num_samples=num_samples,
            best_of=best_of,
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
        best_of: int = 1,
        seed: int | None = None,
        oov_prompt: str = "error",
        form: Form | str | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Result]:
        """As ``generate``, each text with its seed, length and why it ended."""
        found = self.iter_results(
            prompt,
            num_samples=num_samples,
            best_of=best_of,
            seed=seed,
            oov_prompt=oov_prompt,
            form=form,
            **options,
        )
        return list(found)

    @keyword_options(SamplingConfig)
    def iter_results(
        self,
        prompt: str = "",
        *,
        num_samples: int = 1,
        best_of: int = 1,
        seed: int | None = None,
        oov_prompt: str = "error",
        form: Form | str | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Iterator[Result]:
        """As ``results``, one after the other as they are done, and few are held at a time.

        Errors are raised at once.
        """
        from chargen.generation.ordering import in_order

        asked = {
            "num_samples": num_samples,
            "best_of": best_of,
            "seed": _chosen(seed),
            "oov_prompt": oov_prompt,
        }
        requests = _requests(prompt, form, options, asked)
        slots = min(num_samples * best_of, 64)
        engine = engine_of(self, slots=slots, oov_prompt=oov_prompt)
        first = next(requests)
        engine.check(first)
        return in_order(engine, chain([first], requests), self.loaded.bits_per_char)

    @keyword_options(SamplingConfig)
    def ranked(
        self,
        prompt: str = "",
        *,
        best_of: int = 8,
        seed: int | None = None,
        oov_prompt: str = "error",
        form: Form | str | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Ranked]:
        """Draw ``best_of`` texts side by side, and return all of them, the best first.

        The best is the one whose bits per character are nearest to those of real text, with a
        deduction for what it repeats. Arguments and errors as ``stream``.
        """
        from chargen.generation.ordering import in_order
        from chargen.generation.ranking import rank

        asked = {"num_samples": best_of, "seed": _chosen(seed), "oov_prompt": oov_prompt}
        requests = list(_requests(prompt, form, options, asked))
        engine = engine_of(self, slots=min(best_of, 64), oov_prompt=oov_prompt, logprobs=True)
        engine.check(requests[0])
        results = list(in_order(engine, iter(requests), None))
        return rank(results, self.loaded.bits_per_char)


def engine_of(
    generator: Generator, *, slots: int = 64, oov_prompt: str = "error", logprobs: bool = False
) -> Engine:
    """The engine of a generator, which generates many texts at once.

    All engines of a generator share its weights, laid out for generation, and the prompts read.
    """
    return generator._engine.using(slots=slots, oov_prompt=oov_prompt, logprobs=logprobs)


def _chosen(seed: int | None) -> int:
    """The seed that was given, or a random one that is easily typed."""
    return secrets.randbelow(2**31) if seed is None else seed


def _requests(
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
    from chargen.generation.requests import Request
    from chargen.generation.seeds import text_seeds

    (drawn,) = distribute(options, SamplingConfig)
    sampling, batch = SamplingConfig(**drawn), BatchConfig.from_dict(asked)
    wanted, problems = read_form(form)
    check(sampling, batch, also=problems)
    seeds = text_seeds(batch.seed, batch.num_samples)
    return (Request(prompt, sampling, each, wanted, batch.best_of) for each in seeds)
