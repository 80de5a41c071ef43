"""What the body of ``POST /v1/completions`` asks for, field by field."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.generation.poems.asked import read_form
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Request
from chargen.generation.seeds import text_seeds
from chargen.generation.text import most_characters
from chargen.options import BatchConfig, SamplingConfig, ServeConfig
from chargen.serving.fields import Fields
from chargen.serving.refusals import RefusedError, to_json

MOST_LOGPROBS = 20
MOST_STOPS, LONGEST_STOP = 16, 200
_MOST_ODDS = 1 << 18
"""Probabilities in an answer: each takes a hundred bytes."""
_OWN = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "recall",
    "repetition_penalty",
    "loop_penalty",
    "loop_length",
    "end",
    "label",
)
"""Options of sampling that have their own names in a body."""
_UNUSED: Mapping[str, tuple[Any, Any]] = {
    "best_of": (int, 1),
    "frequency_penalty": (int | float, 0),
    "presence_penalty": (int | float, 0),
    "logit_bias": (dict, {}),
}
"""Fields of OpenAI's that chargen has nothing for: their types, and what asks for nothing."""
_NOT_WITH_SUFFIX = ("stop", "logprobs", "form", *(n for n in _OWN if n != "temperature"))
_KNOWN = (
    *("model", "prompt", "max_tokens", "n", "stop", "seed", "stream", "stream_options"),
    *("logprobs", "echo", "form", "suffix", "user", *_OWN, *_UNUSED),
)


@dataclass(frozen=True)
class Asked:
    """A request for completions.

    Attributes:
        model: name of the run; None: the first one.
        requests: a text each, prompt by prompt.
        stream, include_usage: whether texts come as events, and their lengths at the end.
        logprobs: how many alternatives are reported; None: no probabilities at all.
        echo: whether the prompt stands before its text.
        read: characters of all prompts, and of the suffix with each.
        suffix: what follows the gap that each text fills; empty: the texts go on without an end.
    """

    model: str | None
    requests: tuple[Request, ...]
    stream: bool
    include_usage: bool
    logprobs: int | None
    echo: bool
    read: int
    suffix: str = ""

    @property
    def of_a_form(self) -> bool:
        return self.requests[0].form is not None

    def check_lengths(self, limits: ServeConfig, *, answers: bool = False) -> None:
        """Check how long texts may become, and how many probabilities there may be with them.

        Args:
            limits: of the server.
            answers: whether the run answers lines.

        Raises:
            RefusedError: it is too much; ``param`` names the field.
        """
        longest = [request.most_characters(answers=answers) for request in self.requests]
        most = limits.max_length
        if max(longest) > most:
            if self.of_a_form:
                Fields.refuse("form", f"asks for more than {most:,} characters")
            Fields.refuse(
                "max_tokens",
                f"asks for more than {most:,} characters: with end, a text may have "
                f"{max(longest):,} before it ends",
            )
        if self.logprobs is None:
            return
        odds = sum(longest) * (1 + self.logprobs)
        if self.echo:
            odds += sum(len(request.prompt) for request in self.requests)
        if odds > _MOST_ODDS:
            Fields.refuse("logprobs", f"asks for more than {_MOST_ODDS:,} probabilities altogether")


def read_body(data: bytes, limits: ServeConfig) -> Asked:
    """Read a body.

    Raises:
        RefusedError: it isn't what it should be; ``param`` names the field.
    """
    asked = _Reader(data, limits).asked()
    asked.check_lengths(limits)
    return asked


class _Reader(Fields):
    """The fields of a body."""

    def __init__(self, data: bytes, limits: ServeConfig) -> None:
        super().__init__(data, _KNOWN)
        self._limits = limits

    def asked(self) -> Asked:
        for name, (kind, nothing) in _UNUSED.items():
            value = self.values.get(name, nothing)
            if isinstance(value, bool) or not isinstance(value, kind) or value != nothing:
                self.refuse(name, f"should be left out or {to_json(nothing).decode()}")
        model, stream = self.text("model"), self.flag("stream")
        logprobs = self.whole("logprobs", 0, MOST_LOGPROBS)
        self.text("user")
        suffix, prompts = self._suffix(), self._prompts()
        return Asked(
            model=model,
            requests=self._requests(prompts, logprobs),
            stream=stream,
            include_usage=self._include_usage(stream),
            logprobs=logprobs,
            echo=self.flag("echo"),
            read=sum(map(len, prompts)) + len(suffix) * len(prompts),
            suffix=suffix,
        )

    def _requests(self, prompts: list[str], logprobs: int | None) -> tuple[Request, ...]:
        """The texts: each prompt's have the seeds that ``chargen sample`` would give them."""
        n = self.whole("n", 1, self._limits.max_choices) or 1
        if n * len(prompts) > self._limits.max_choices:
            self.refuse("n", f"asks for more than {self._limits.max_choices} texts altogether")
        config, form = self._sampling(), self._form()
        if form is not None and config.stop:
            self.refuse("stop", "can't be used with a form, which ends where the form says")
        given = self.values.get("seed")
        if given is not None and (problem := BatchConfig.entries()["seed"].problem(given)):
            raise RefusedError(400, f"{problem}.", param="seed")
        return tuple(
            Request(prompt, config, seed, form, alternatives=logprobs)
            for prompt in prompts
            for seed in text_seeds(secrets.randbelow(2**31) if given is None else given, n)
        )

    def _prompts(self) -> list[str]:
        self.values.setdefault("prompt", "")
        return self.texts("prompt", self._limits.max_choices, self._limits.max_prompt)

    def _suffix(self) -> str:
        suffix = self.text("suffix", self._limits.max_prompt) or ""
        if suffix and "max_tokens" not in self.values:
            self.refuse("max_tokens", "is needed with suffix: it is the length of the gap")
        for name in _NOT_WITH_SUFFIX if suffix else ():
            if name in self.values:
                self.refuse(name, "has no meaning with suffix")
        return suffix

    def _sampling(self) -> SamplingConfig:
        if "label" in self.values:
            self.values["label"] = self._labels()
        values, most = self.options(SamplingConfig, _OWN), self._limits.max_length
        length = self.whole("max_tokens", 0, most)
        if length is None:
            end = values.get("end", SamplingConfig.end)
            length = min(SamplingConfig.length, most // most_characters(1, end))
        values |= {"length": length, "stop": self._stops()}
        if problems := SamplingConfig.conflicts_in(values):
            raise RefusedError(400, f"{problems[0]}.", param="stop")
        return SamplingConfig(**values)

    def _stops(self) -> tuple[str, ...]:
        if self.values.get("stop") in (None, []):
            return ()
        return tuple(self.texts("stop", MOST_STOPS, LONGEST_STOP))

    def _labels(self) -> Any:
        """``{"author": "李白"}`` as ``["author=李白"]``, and weights likewise."""
        lines = self.values["label"]
        if isinstance(lines, dict):
            lines = [f"{key}={_mixture(value)}" for key, value in lines.items()]
        for each in lines if isinstance(lines, list) else [lines]:
            if isinstance(each, str):
                self.check_writable("label", each)
        return lines

    def _form(self) -> Form | None:
        given = self.values.get("form")
        if given is not None and not isinstance(given, (str, dict)):
            self.refuse("form", "should be a name or an object")
        form, problems = read_form(given)
        if problems:
            raise RefusedError(400, f"{problems[0]}.", param="form")
        if form is not None:
            self.check_writable("form", form.acrostic)
        return form

    def _include_usage(self, stream: bool) -> bool:
        options = self.values.get("stream_options", {})
        if not isinstance(options, dict):
            self.refuse("stream_options", "should be an object")
        if options and not stream:
            self.refuse("stream_options", "has a meaning only with stream")
        if unknown := options.keys() - {"include_usage", "include_obfuscation"}:
            self.refuse("stream_options", f"has the unknown field {min(unknown):.100}")
        wanted = options.get("include_usage")
        if not isinstance(wanted, bool | None):
            self.refuse("stream_options", "has an include_usage that is neither true nor false")
        return bool(wanted)


def _mixture(values: Any) -> str:
    if not isinstance(values, dict):
        return str(values)
    return ",".join(f"{value}:{weight}" for value, weight in values.items())
