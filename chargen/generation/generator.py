"""A trained model, as the public API gives it: it writes, and it judges texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.generation.asking import chosen_seed, requests_for
from chargen.options import SamplingConfig, keyword_options

if TYPE_CHECKING:
    from chargen.evaluation.scores import CharScores, Score
    from chargen.generation.engine import Engine
    from chargen.generation.judging import Judgement
    from chargen.generation.poems.forms import Form
    from chargen.generation.ranking import Ranked
    from chargen.generation.requests import Result
    from chargen.runs.loaded import LoadedModel


class Generator:
    """A trained model, ready to write and to judge texts; its weights stay as they are.

    Attributes:
        path: its run folder.
    """

    def __init__(self, path: Path, loaded: LoadedModel) -> None:
        self.path = path
        self.loaded = loaded  # weights, tokenizer and config, which are not part of the public API

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
        from chargen.generation.readers import folded

        return folded(self)

    @property
    def answers(self) -> bool:
        """Whether the model answers lines, rather than continuing texts."""
        return self.loaded.config.model.task == "seq2seq"

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
        from chargen.generation.readers import identity_of

        return {**identity_of(self.loaded), "device": self._engine.network.device.type}

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

        asked = {"seed": chosen_seed(seed), "oov_prompt": oov_prompt}
        request = next(requests_for(prompt, form, options, asked))
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
        asked: dict[str, Any] = {"num_samples": num_samples, "best_of": best_of, "seed": seed}
        asked |= {"oov_prompt": oov_prompt, "form": form, **options}
        return [result.text for result in self.iter_results(prompt, **asked)]

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
        counts = {"num_samples": num_samples, "best_of": best_of, "seed": seed}
        asked: dict[str, Any] = {**counts, "oov_prompt": oov_prompt, "form": form, **options}
        return list(self.iter_results(prompt, **asked))

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
            "seed": chosen_seed(seed),
            "oov_prompt": oov_prompt,
        }
        requests = requests_for(prompt, form, options, asked)
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

        asked = {"num_samples": best_of, "seed": chosen_seed(seed), "oov_prompt": oov_prompt}
        requests = list(requests_for(prompt, form, options, asked))
        engine = engine_of(self, slots=min(best_of, 64), oov_prompt=oov_prompt, logprobs=True)
        engine.check(requests[0])
        results = list(in_order(engine, iter(requests), None))
        return rank(results, self.loaded.bits_per_char)

    @keyword_options(SamplingConfig)
    def answer(
        self,
        lines: str | Sequence[str],
        *,
        seed: int | None = None,
        oov_prompt: str = "error",
        form: Form | str | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[str]:
        """An answer to each line, of a model that has learnt pairs; to a blank line, a blank one.

        With ``beam_size`` they are the likeliest ones, else they are drawn. Arguments and errors
        as ``stream``.

        Raises:
            CheckpointError: the run has learnt another task.
        """
        from chargen.generation.readers import answers_to

        engine = engine_of(self, oov_prompt=oov_prompt)
        asked = [lines] if isinstance(lines, str) else lines
        return answers_to(self, engine, asked, form, chosen_seed(seed), options)

    def judge_answers(
        self,
        path: str | Path,
        *,
        form: Form | str | None = None,
        encoding: str = "auto",
        errors: str = "strict",
        **options: Any,
    ) -> Judgement:
        """Score the answers of a file of pairs, and compare them with the model's own.

        Its own have the likeliest characters unless ``options``, as of ``answer``, say otherwise.
        """
        from chargen.generation.readers import judge_file

        settings = {"encoding": encoding, "errors": errors}
        engine = engine_of(self, oov_prompt="skip")
        return judge_file(self, engine, path, form, {"temperature": 0.0, **options}, settings)

    def score(self, text: str, batch_size: int = 32) -> Score:
        """Bits per character of ``text`` and more, by the fixed protocol of ``evaluation``."""
        return self.score_characters(text, batch_size).total()

    def score_records(self, path: str | Path, *, labels: bool = True) -> Score:
        """Score the records of a file, each with its labels, or with none of them.

        Each text is read from its beginning, and its end counts as a character.

        Raises:
            CorpusError: the file can't be read as the run's own records were.
        """
        from chargen.generation.readers import score_file

        return score_file(self, path, labels=labels)

    def score_characters(self, text: str, batch_size: int = 32) -> CharScores:
        """What each character of ``text`` costs, in order."""
        from chargen.generation.readers import score_text

        return score_text(self, text, batch_size)

    def gate_characters(self, text: str) -> list[float]:
        """The network's share of the mixture before each character of ``text``, 0 to 1, in order.

        Raises:
            GenerationError: the model has no n-gram counts.
        """
        from chargen.generation.readers import gates_of

        return gates_of(self, text)


def engine_of(
    generator: Generator, *, slots: int = 64, oov_prompt: str = "error", logprobs: bool = False
) -> Engine:
    """The engine of a generator, which generates many texts at once.

    All engines of a generator share its weights, laid out for generation, and the prompts read.
    """
    return generator._engine.using(slots=slots, oov_prompt=oov_prompt, logprobs=logprobs)
