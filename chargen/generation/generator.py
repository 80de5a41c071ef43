"""A trained model, as the public API gives it: it writes, and it judges texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.generation.asking import chosen_seed, requests_for
from chargen.generation.filling.method import FillsGaps
from chargen.generation.reader import Reader
from chargen.options import SamplingConfig, keyword_options

if TYPE_CHECKING:
    from chargen.generation.engine import Engine
    from chargen.generation.judging import Judgement
    from chargen.generation.poems.forms import Form
    from chargen.generation.ranking import Ranked
    from chargen.generation.requests import Result


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
        from chargen.generation.replying import folded

        return folded(self)

    @property
    def answers(self) -> bool:
        """Whether the model answers lines, rather than continuing texts."""
        return self.loaded.config.model.task == "seq2seq"

    def identity(self) -> dict[str, str]:
        """What a text depends on besides prompt, options and seed."""
        from chargen.generation.replying import identity_of

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
        from chargen.generation.replying import answers_to

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

        Its own have the likeliest characters, whatever these repeat, or are found by a beam, unless
        ``options``, as of ``answer``, say otherwise.
        """
        from chargen.generation.replying import judge_file

        settings = {"encoding": encoding, "errors": errors}
        engine = engine_of(self, oov_prompt="skip")
        likeliest = {} if options.get("beam_size") else {"temperature": 0.0, "loop_penalty": 0.0}
        return judge_file(self, engine, path, form, {**likeliest, **options}, settings)


def open_run(folder: Path, device: str, *, ngram: bool) -> Generator:
    """Open the run in a folder, on a device by its name; see ``chargen.load``."""
    from chargen.machine.devices import resolve_device
    from chargen.runs.folder import RunFolder

    target = resolve_device(device)
    loaded = RunFolder(folder).load_model(ngram=ngram)
    loaded.network.to(target)
    return Generator(folder, loaded)


def engine_of(
    generator: Generator, *, slots: int = 64, oov_prompt: str = "error", logprobs: bool = False
) -> Engine:
    """The engine of a generator, which generates many texts at once.

    All engines of a generator share its weights, laid out for generation, and the prompts read.
    """
    return generator._engine.using(slots=slots, oov_prompt=oov_prompt, logprobs=logprobs)
