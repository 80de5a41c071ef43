"""Many texts at once from one model: fixed slots, refilled the moment one is free."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from chargen.corpus.labels import Labels
from chargen.corpus.record_fields import LONGEST
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ChargenError, ConfigError, GenerationError
from chargen.generation.answering import AnswerNetwork
from chargen.generation.beams import Found
from chargen.generation.folded import Network, RowState
from chargen.generation.loops import kinds_of
from chargen.generation.masks import Masks
from chargen.generation.poems.answers import Couplet, RuledText, Rules, SameLength
from chargen.generation.poems.forms import Form
from chargen.generation.poems.plan import lead
from chargen.generation.poems.poet import Poet
from chargen.generation.poems.verse import Poem
from chargen.generation.prompts import ReadCache
from chargen.generation.recall import Memory
from chargen.generation.requests import Chunk, Request, Result
from chargen.generation.sampler import drawing_device
from chargen.generation.served import ServedSlots
from chargen.generation.slots import Slots
from chargen.network.model import CharModel
from chargen.network.seq2seq import Seq2Seq
from chargen.ngrams import KneserNey
from chargen.options import BatchConfig

K = TypeVar("K", bound=Hashable)


class Engine:
    """Generates texts with a model's weights as they are at the start.

    Neither the model nor torch's generators and settings are touched. A text is the same
    whatever is generated beside it, in any number of slots, on any number of threads.

    Args:
        model: on the device that is to do the work; one that answers reads a prompt as its text.
        tokenizer: the model's.
        ngram: the counts that are mixed with the network; None: the network alone.
        slots: texts that run at once, at most.
        oov_prompt: ``error`` or ``skip``, for prompt characters that the model can't read.
        logprobs: whether to tell ``bits_per_char``.
        convert: what a prompt goes through before it is read, such as a conversion of script.
        labels: that texts may have.
    """

    def __init__(
        self,
        model: CharModel | Seq2Seq,
        tokenizer: Tokenizer,
        ngram: KneserNey | None = None,
        *,
        slots: int = 64,
        oov_prompt: str = "error",
        logprobs: bool = False,
        convert: Callable[[str], str] = str,
        labels: Labels | None = None,
    ) -> None:
        self._set(slots, oov_prompt, logprobs=logprobs)
        self._convert, self._labels = convert, labels or Labels({})
        with torch.inference_mode():
            if isinstance(model, Seq2Seq):
                self.network: Network = AnswerNetwork(model, ngram)
            else:
                self.network = Network(model, ngram)
        self.answers = isinstance(model, Seq2Seq)
        self.tokenizer = tokenizer
        self.drawing_device = drawing_device(self.network.device)
        ends = tokenizer.end_id if model.config.records else -1
        self.masks = Masks(tokenizer, self.network.width, self.drawing_device, ends)
        self.kinds = kinds_of(tokenizer)
        self.cache = ReadCache[RowState](lambda state: sum(map(Tensor.numel, state)))
        self.memory = lru_cache(slots)(Memory)
        self.followed: tuple[object, list[Found]] = (None, [])
        self.poet = Poet(tokenizer, self.network.width)

    def _set(self, slots: int, oov_prompt: str, *, logprobs: bool) -> None:
        if slots < 1:
            raise GenerationError(f"There can't be {slots} slots.", "Use 1 or more.")
        if problem := BatchConfig.entries()["oov_prompt"].problem(oov_prompt):
            raise GenerationError(f"{problem}.", "Choose one of these.")
        self.slots, self.oov_prompt, self.logprobs = slots, oov_prompt, logprobs

    def using(
        self, *, slots: int = 64, oov_prompt: str = "error", logprobs: bool = False
    ) -> Engine:
        """An engine of other settings, with the same weights and the same cache of prompts."""
        engine = copy(self)
        engine._set(slots, oov_prompt, logprobs=logprobs)
        return engine

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Chunk | Result]:
        """Generate; each text's chunks come as they are made, its result after the last.

        Requests are taken as slots become free, so there may be endlessly many. None means that
        there is none at the moment: while texts are running, the next one is asked for again.

        Raises:
            GenerationError: a request can't be fulfilled, see ``check``.
        """
        return Slots(self, requests, live=True).run()

    def generate(self, requests: Iterable[Request | None]) -> Iterator[Result]:
        """The results of ``stream``, in the order in which they are done."""
        for part in Slots(self, requests, live=False).run():
            if isinstance(part, Result):
                yield part

    def serve(
        self,
        requests: Iterable[tuple[K, Request] | None],
        cancelled: Callable[[], Iterable[K]],
        on_failure: Callable[[K, ChargenError], None],
        pace: float = 0.0,
    ) -> Iterator[tuple[K, Chunk | Result]]:
        """As ``stream``, for texts that don't know of each other.

        A text that is cancelled leaves its slot at the next character, and has no result. One that
        fails leaves the others alone. Those that asked for alternatives get them with their chunks.

        Args:
            requests: as of ``stream``, each with a key, which comes with every part of its text.
            cancelled: called before every step; the keys of texts that are not wanted any more.
            on_failure: called with a text's key and what is wrong, in place of its result.
            pace: seconds between chunks, which then hold several characters; a text's first one
                and its last come at once.
        """
        return ServedSlots(self, requests, cancelled, on_failure, pace).parts()

    def check(self, request: Request) -> None:
        """Raise ConfigError or GenerationError where ``request`` can't be fulfilled."""
        if self.answers:
            self.source_ids(request.prompt)
        else:
            self.prompt_ids(request.prompt, request.form)
        if not 0 <= request.seed < 1 << 64:
            raise GenerationError(
                f"The seed {request.seed} is out of range.", "Use 0 to 18446744073709551615."
            )
        self.labels_of(request)
        self.ruled(request)
        if request.form is not None and not self.answers:
            self.poem(request, request.form)

    def check_options(self, request: Request) -> None:
        """Raise ConfigError or GenerationError where no prompt goes with a request's options."""
        form = request.form
        self.labels_of(request)
        self.ruled(replace(request, prompt=""))
        if form is not None and not self.answers:
            self._check_ends(request)
            if form.name != "couplet":  # whose shape is that of the prompt
                self.poet.task(form, "")

    def labels_of(self, request: Request) -> Tensor | None:
        """The labels v (L,) of a request; None where the model has none.

        Raises:
            ConfigError: a label isn't known.
        """
        v = self._labels.wanted(request.config.label)
        return torch.from_numpy(v) if len(v) else None

    def prompt_ids(self, prompt: str, form: Form | None = None) -> list[int]:
        """What the model reads before the text: a newline and the prompt, closed for a form."""
        prompt = self._convert(prompt)
        if form is not None and not form.problems():
            prompt = lead(form, prompt)
        return [self.tokenizer.newline_id, *self._known_ids(prompt)]

    def source_ids(self, line: str) -> list[int]:
        """What a network that answers reads: a line and its end; nothing for a blank line.

        Raises:
            GenerationError: the line is too long, or has characters that the model can't read.
        """
        line = self._convert(line)
        if len(line) > LONGEST:
            raise GenerationError(
                f"The line has {len(line):,} characters, and the most are {LONGEST:,}.",
                "Give a shorter one.",
            )
        return [*self._known_ids(line), self.tokenizer.end_id] if line.strip() else []

    def _known_ids(self, prompt: str) -> list[int]:
        """The pieces of a prompt, without characters that the model can't read."""
        if not prompt:
            return []
        if not self.tokenizer.has_bytes:
            unseen = self.tokenizer.unseen(prompt)
            if unseen and self.oov_prompt == "error":
                raise GenerationError(
                    f"The model has never seen {listed(unseen)}, which the prompt has.",
                    "Change the prompt, or leave such characters out with `oov_prompt=skip`.",
                )
            prompt = prompt.translate({ord(c): None for c in unseen})
        ids: list[int] = self.tokenizer.encode(prompt).tolist()
        return ids

    def ruled(self, request: Request) -> RuledText | None:
        """An answer by the rules that are asked for, nothing of it written yet; None: no rules.

        Raises:
            ConfigError: the model has no use for what is asked for.
            GenerationError: it can't be done.
        """
        if not self.answers:
            self._check_for_answers(request)
            return None
        rules = self.rules(request)
        if rules is None:
            return None
        return RuledText(rules, "form" if request.form else "length")

    def rules(self, request: Request) -> Rules | None:
        """The rules of an answer that is asked for; a blank line has none."""
        config, form = request.config, request.form
        line = self._convert(request.prompt)
        if form is None and not config.match_source_length:
            return None
        if config.stop:
            raise ConfigError(
                "An answer by rules ends where they say, not at a stop string.",
                "Leave one of them out.",
            )
        if form is not None and form != Form("couplet"):
            raise ConfigError(
                "A run that answers lines writes no poems, but the second lines of couplets.",
                "Use `form=couplet` without further details.",
            )
        if not line.strip():
            return None
        if form is None:
            return SameLength(self.tokenizer, self.network.width, len(line))
        return Couplet(self.poet, line)

    def _check_for_answers(self, request: Request) -> None:
        for name in ("match_source_length", "beam_size"):
            if getattr(request.config, name):
                raise ConfigError(
                    f"`{name}` is for runs that answer lines, and this one continues texts.",
                    "Leave it out, or train a run with `task=seq2seq`.",
                )

    def _check_ends(self, request: Request) -> None:
        if request.config.stop:
            raise ConfigError(
                "A form ends where the form says, not at a stop string.", "Leave one of them out."
            )

    def poem(self, request: Request, form: Form) -> Poem:
        """The poem that a request asks for, nothing of it written yet."""
        self._check_ends(request)
        return Poem(self.poet, self.poet.task(form, self._convert(request.prompt)))


def listed(characters: list[str], most: int = 10) -> str:
    """Characters for people: the first ones, and how many more there are."""
    shown = ", ".join(repr(c) for c in characters[:most])
    more = len(characters) - most
    return f"{shown} and {more} more" if more > 0 else shown
